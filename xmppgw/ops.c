#include "xmppgw/ops.h"

#include "common/daemon.h"
#include "common/http/http_server.h"
#include "xmppgw/conf.h"

#define BODY_MAX 1024 /* nothing is posted here */

static const struct http_route routes[] = { DAEMON_ROUTES, { NULL } };

static struct http_server *server;

static int start(void *config)
{
	const struct conf *conf = config;
	struct http_server_options options = { .routes = routes, .body_max = BODY_MAX };

	server = http_server_listen(&options, "ops", conf->daemon.ops_listen);
	return server != NULL ? 0 : -1;
}

static void stop(void)
{
	http_server_free(server);
	server = NULL;
}

const struct daemon_module ops_module = { "ops", start, stop };
