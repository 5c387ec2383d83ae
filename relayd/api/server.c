#include "relayd/api/server.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/daemon.h"
#include "common/http/http_server.h"
#include "relayd/api/activation.h"
#include "relayd/api/limits.h"
#include "relayd/api/streams.h"
#include "relayd/api/usage.h"
#include "relayd/conf.h"

#define BODY_MAX (16 * 1024)

static struct http_server *server;

static const struct http_route routes[] = {
	ACTIVATION_ROUTES, STREAMS_ROUTES, LIMITS_ROUTES, USAGE_ROUTES, DAEMON_ROUTES, { 0 },
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
		.body_max = BODY_MAX,
	};
	char text[NET_TEXT_MAX], *why = NULL;

	(void)net_parse(conf->control_listen, &options.listen); /* checked with the configuration */
	server = http_server_new(&options, &why);
	if (server == NULL) {
		log_error("listen-failed address=%s why=\"%s\"", conf->control_listen, why);
		free(why);
		return -1;
	}
	log_info("listening what=control address=%s", net_format(server_address(), text));
	return 0;
}

static void stop(void)
{
	http_server_free(server);
	server = NULL;
}

const struct daemon_module server_module = { "control API", start, stop };
