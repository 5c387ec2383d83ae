#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/http/http_client.h"
#include "common/http/http_server.h"
#include "common/net/resolve.h"
#include "common/redis/redis.h"
#include "pushd/api/api.h"
#include "pushd/api/domain_limit.h"
#include "pushd/api/fleet.h"
#include "pushd/api/public_api.h"
#include "pushd/api/statistics.h"
#include "pushd/conf.h"
#include "pushd/credential/credential.h"
#include "pushd/credential/jwt.h"
#include "pushd/credential/validity.h"
#include "pushd/credential/vault.h"
#include "pushd/delivery/backlog.h"
#include "pushd/delivery/delivery.h"
#include "pushd/delivery/history.h"
#include "pushd/device/addressee.h"
#include "pushd/device/expiry.h"
#include "pushd/queue/store.h"
#include "pushd/sender/senders.h"
#include "pushd/storage.h"

static const struct daemon_module modules[] = {
	{ "storage", storage_start, storage_stop },
	{ "vault", vault_start, vault_stop },
	{ "store", store_start, store_stop },
	{ "statistics", statistics_start, statistics_stop },
	{ "history", history_start, history_stop },
	{ "domain-limit", domain_limit_start, domain_limit_stop },
	{ "expiry", expiry_start, expiry_stop },
	{ "senders", senders_start, senders_stop },
	{ "validity", validity_start, validity_stop },
	{ "addressee", addressee_start, addressee_stop },
	{ "backlog", backlog_start, backlog_stop },
	{ "deliveries", deliveries_start, deliveries_stop },
	{ "api", api_start, api_stop },
	{ "public", public_api_start, public_api_stop },
	{ "fleet", fleet_start, fleet_stop },
	{ NULL },
};

/* Gateways are told to go elsewhere, new calls are refused, what is under way is sent or stored. */
static void drain(void)
{
	fleet_touch();
	deliveries_drain(daemon_exit);
}

static void reloaded(void *config)
{
	credentials_reload();
	public_api_reload();
}

static char *health_url(const void *config)
{
	const struct conf *conf = config;

	return mem_printf("http://%s/healthz", conf->daemon.api_listen);
}

static bool serving(void)
{
	return storage_serving() && !daemon_draining();
}

static const char *(*const versions[])(void) = {
	http_client_version, http_server_version, redis_version, resolve_version, jwt_version, NULL,
};

static const struct daemon_spec spec = {
	.config = &conf_table,
	.common_offset = offsetof(struct conf, daemon.common),
	.modules = modules,
	.check = conf_check,
	.check_more = conf_check_more,
	.drain = drain,
	.reloaded = reloaded,
	.dump = senders_dump,
	.health_url = health_url,
	.serving = serving,
	.versions = versions,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &spec);
}
