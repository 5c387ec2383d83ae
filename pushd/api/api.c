#include "pushd/api/api.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/daemon.h"
#include "common/http/http_server.h"
#include "common/net/net.h"
#include "pushd/api/credential_api.h"
#include "pushd/api/device_api.h"
#include "pushd/api/notifications.h"
#include "pushd/api/statistics.h"
#include "pushd/conf.h"
#include "pushd/credential/credential.h"
#include "pushd/provider/kinds.h"
#include "pushd/sender/sender.h"

#define BODY_MAX (1024 * 1024)

static struct http_server *server;

static void serve_providers(struct http_request *request)
{
	json_t *list = json_array();

	for (size_t i = 0; i < senders_count(); i++) {
		const struct sender *sender = senders_at(i);
		const struct conf_provider *provider = sender_provider(sender);
		const struct credential *credential = credential_find(provider->id);
		struct credential_wanted wanted;
		json_t *item = json_pack("{s:s, s:s, s:s, s:o}", "id", provider->id, "kind",
		                         provider_kinds[provider->kind]->conf.name, "state",
		                         sender_state(sender), "credential",
		                         credential_api_describe(credential));

		credential_wants(credential, &wanted);
		if (wanted.topic != NULL)
			json_object_set_new(item, "topic", json_string(wanted.topic));
		json_array_append_new(list, item);
	}
	http_reply(request, 200, json_pack("{s:o}", "providers", list));
}

/* clang-format off */
static const struct http_route routes[] = {
	{ "POST", "/v1/notifications", notifications_serve },
	{ "POST", "/v1/devices", device_api_register },
	{ "POST", "/v1/devices/unregister", device_api_unregister },
	{ "GET", "/v1/devices", device_api_list },
	{ "GET", "/v1/devices/{node}", device_api_show },
	{ "DELETE", "/v1/devices/{node}", device_api_remove },
	{ "GET", "/v1/providers", serve_providers },
	{ "PUT", "/v1/providers/{id}/credential", credential_api_set },
	{ "DELETE", "/v1/providers/{id}/credential", credential_api_remove },
	{ "GET", "/v1/statistics", statistics_serve },
	DAEMON_ROUTES,
	{ NULL },
};
/* clang-format on */

static int start(void *config)
{
	const struct conf *conf = config;
	struct http_server_options options = {
		.routes = routes,
		.token = conf->daemon.api_token,
		.body_max = BODY_MAX,
	};
	char text[NET_TEXT_MAX];
	char *why;

	statistics_start(conf);
	device_api_start(config);
	if (net_parse(conf->daemon.api_listen, &options.listen) != 0)
		return -1;
	server = http_server_new(&options, &why);
	if (server == NULL) {
		log_error("listen-failed what=api address=%s reason=\"%s\"",
		          conf->daemon.api_listen, why);
		free(why);
		return -1;
	}
	net_format(http_server_address(server), text);
	log_info("listening what=api address=%s", text);
	return 0;
}

static void stop(void)
{
	http_server_free(server);
	server = NULL;
}

const union net_address *api_address(void)
{
	return http_server_address(server);
}

const struct daemon_module api_module = { "api", start, stop };
