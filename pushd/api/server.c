#include "pushd/api/server.h"

#include "common/base/loop.h"
#include "common/daemon.h"
#include "common/http/http_server.h"
#include "pushd/api/credentials.h"
#include "pushd/api/devices.h"
#include "pushd/api/notifications.h"
#include "pushd/api/statistics.h"
#include "pushd/api/trial.h"
#include "pushd/api/waiting.h"
#include "pushd/conf.h"
#include "pushd/delivery/delivery.h"

#define BODY_MAX (1024 * 1024)
#define DRAIN_AFTER_MS 100

static struct http_server *server;

/* Draining may end the process at once, so the reply goes first. */
static void on_drain(struct timer *timer)
{
	daemon_drain();
}

static struct timer drain_timer = { .expired = on_drain };

static void serve_drain(struct http_request *request)
{
	http_reply(request, 202,
	           json_pack("{s:b, s:I}", "draining", 1, "notifications",
	                     (json_int_t)deliveries_count()));
	if (!daemon_draining())
		timer_start(&drain_timer, DRAIN_AFTER_MS);
}

static const struct http_route routes[] = {
	{ .rows = notifications_routes },
	{ .rows = devices_routes },
	{ .rows = credentials_routes },
	{ .rows = statistics_routes },
	{ .rows = trial_routes },
	{ .rows = waiting_routes },
	{ "POST", "/v1/drain", serve_drain },
	DAEMON_ROUTES,
	{ NULL },
};

static int start(void *config)
{
	const struct conf *conf = config;
	struct http_server_options options = {
		.routes = routes,
		.token = conf->daemon.api_token,
		.token_also = conf->daemon.api_token_also,
		.body_max = BODY_MAX,
	};

	server = http_server_listen(&options, "api", conf->daemon.api_listen);
	return server != NULL ? 0 : -1;
}

static void stop(void)
{
	timer_stop(&drain_timer);
	http_server_free(server);
	server = NULL;
}

const union net_address *server_address(void)
{
	return http_server_address(server);
}

const struct daemon_module server_module = { "server", start, stop };
