#include "pushd/api/server.h"

#include "common/daemon.h"
#include "common/http/http_server.h"
#include "pushd/api/credentials.h"
#include "pushd/api/devices.h"
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
		                         credentials_describe(credential));

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
	{ "POST", "/v1/devices", devices_register },
	{ "POST", "/v1/devices/unregister", devices_unregister },
	{ "GET", "/v1/devices", devices_list },
	{ "GET", "/v1/devices/{node}", devices_show },
	{ "DELETE", "/v1/devices/{node}", devices_remove },
	{ "GET", "/v1/providers", serve_providers },
	{ "PUT", "/v1/providers/{id}/credential", credentials_set },
	{ "DELETE", "/v1/providers/{id}/credential", credentials_remove },
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

	statistics_start(conf);
	devices_start(conf);
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
