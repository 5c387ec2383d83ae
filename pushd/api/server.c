#include "pushd/api/server.h"

#include "common/daemon.h"
#include "common/http/http_server.h"
#include "pushd/api/credentials.h"
#include "pushd/api/devices.h"
#include "pushd/api/notifications.h"
#include "pushd/api/statistics.h"
#include "pushd/conf.h"

#define BODY_MAX (1024 * 1024)

static struct http_server *server;

static const struct http_route routes[] = {
	{ .rows = notifications_routes },
	{ .rows = devices_routes },
	{ .rows = credentials_routes },
	{ .rows = statistics_routes },
	DAEMON_ROUTES,
	{ NULL },
};

static int start(void *config)
{
	const struct conf *conf = config;
	struct http_server_options options = {
		.routes = routes,
		.token = conf->daemon.api_token,
		.body_max = BODY_MAX,
	};

	server = http_server_listen(&options, "api", conf->daemon.api_listen);
	return server != NULL ? 0 : -1;
}

static void stop(void)
{
	http_server_free(server);
	server = NULL;
}

const union net_address *server_address(void)
{
	return http_server_address(server);
}

const struct daemon_module server_module = { "server", start, stop };
