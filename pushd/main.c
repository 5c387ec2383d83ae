#include "common/daemon.h"
#include "common/http/http_client.h"
#include "common/http/http_server.h"
#include "common/net/resolve.h"
#include "common/redis/redis.h"
#include "pushd/api/announce.h"
#include "pushd/api/devices.h"
#include "pushd/api/notifications.h"
#include "pushd/api/rest.h"
#include "pushd/api/server.h"
#include "pushd/api/statistics.h"
#include "pushd/check.h"
#include "pushd/conf.h"
#include "pushd/credential/credential.h"
#include "pushd/credential/expiry_warning.h"
#include "pushd/credential/jwt.h"
#include "pushd/credential/sealed_store.h"
#include "pushd/db.h"
#include "pushd/delivery/delivery.h"
#include "pushd/delivery/history.h"
#include "pushd/delivery/redeliver.h"
#include "pushd/delivery/refusal.h"
#include "pushd/device/recipient.h"
#include "pushd/device/sweep.h"
#include "pushd/provider/counters.h"
#include "pushd/provider/kinds.h"
#include "pushd/queue/queue.h"
#include "pushd/sender/sender.h"

/* New calls are refused; deliveries are sent or queued, and then the process exits. */
static void drain(void)
{
	deliveries_drain(daemon_exit);
}

static const struct daemon_module drain_module = { "drain", .drain = drain };

/* clang-format off */
static const struct daemon_module *const modules[] = {
	&db_module,
	&sealed_store_module,
	&queue_module,
	&counters_module,
	&history_module,
	&sweep_module,
	&senders_module,
	&expiry_warning_module,
	&recipient_module,
	&refusal_module,
	&redeliver_module,
	&delivery_module,
	&drain_module,
	&notifications_module,
	&devices_module,
	&statistics_module,
	&server_module,
	&rest_module,
	&announce_module,
	NULL,
};
/* clang-format on */

static void reloaded(void *config)
{
	credentials_reload();
	rest_reload();
}

static bool serving(void)
{
	return db_serving() && !daemon_draining();
}

static const char *(*const versions[])(void) = {
	http_client_version, http_server_version, redis_version, resolve_version, jwt_version, NULL,
};

static const struct daemon_spec spec = {
	.config = &conf_table,
	.common_offset = offsetof(struct conf, daemon.common),
	.health_offset = offsetof(struct conf, daemon.api_listen),
	.modules = modules,
	.check = check_config,
	.check_more = check_usable,
	.reloaded = reloaded,
	.dump = senders_dump,
	.serving = serving,
	.versions = versions,
};

int main(int argc, char **argv)
{
	for (size_t i = 0; provider_kinds[i] != NULL; i++)
		conf_add_kind(&provider_kinds[i]->conf);
	return daemon_main(argc, argv, &spec);
}
