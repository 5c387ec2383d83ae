#include "xmppgw/ops.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/daemon.h"
#include "common/http/http_server.h"
#include "common/net/net.h"
#include "xmppgw/conf.h"

#define BODY_MAX 1024 /* nothing is posted here */

static const struct http_route routes[] = { DAEMON_ROUTES, { NULL } };

static struct http_server *server;

static int start(void *config)
{
	const struct conf *conf = config;
	struct http_server_options options = { .routes = routes, .body_max = BODY_MAX };
	char text[NET_TEXT_MAX];
	char *why;

	if (net_parse(conf->daemon.ops_listen, &options.listen) != 0)
		abort(); /* it has been checked */
	server = http_server_new(&options, &why);
	if (server == NULL) {
		log_error("listen-failed what=ops address=%s reason=\"%s\"",
		          conf->daemon.ops_listen, why);
		free(why);
		return -1;
	}
	log_info("listening what=ops address=%s", net_format(http_server_address(server), text));
	return 0;
}

static void stop(void)
{
	http_server_free(server);
	server = NULL;
}

const struct daemon_module ops_module = { "ops", start, stop };
