#include "relayd/api/server.h"

#include "common/base/log.h"
#include "common/daemon.h"
#include "common/http/http_server.h"
#include "relayd/api/accounts.h"
#include "relayd/api/activation.h"
#include "relayd/api/limits.h"
#include "relayd/api/streams.h"
#include "relayd/api/usage.h"
#include "relayd/conf.h"

#define BODY_MAX (16 * 1024)

static struct http_server *server;

static const struct http_route routes[] = {
	{ .rows = activation_routes },
	{ .rows = streams_routes },
	{ .rows = limits_routes },
	{ .rows = usage_routes },
	{ .rows = accounts_routes },
	DAEMON_ROUTES,
	{ NULL },
};

const union net_address *server_address(void)
{
	return http_server_address(server);
}

static int start(void *config)
{
	const struct relay_conf *conf = config;
	struct http_server_options options = {
		.routes = routes,
		.token = conf->api_token,
		.token_also = conf->api_token_also,
		.body_max = BODY_MAX,
	};

	server = http_server_listen(&options, "control", conf->control_listen);
	return server != NULL ? 0 : -1;
}

static void stop(void)
{
	http_server_free(server);
	server = NULL;
}

const struct daemon_module server_module = { "control API", start, stop };
