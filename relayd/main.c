#include <sched.h>

#include "common/base/log.h"
#include "common/daemon.h"
#include "common/net/resolve.h"
#include "common/redis/redis.h"
#include "relayd/advertised.h"
#include "relayd/api/admission.h"
#include "relayd/api/control.h"
#include "relayd/conf.h"
#include "relayd/drain.h"
#include "relayd/fleet/claim.h"
#include "relayd/fleet/dial.h"
#include "relayd/fleet/store.h"
#include "relayd/front/handshake.h"
#include "relayd/front/listener.h"
#include "relayd/front/pending.h"
#include "relayd/io/half.h"
#include "relayd/io/pipe_pool.h"
#include "relayd/io/transfer.h"
#include "relayd/presence.h"
#include "relayd/quota/calendar.h"
#include "relayd/quota/ledger.h"
#include "relayd/quota/outbox.h"
#include "relayd/quota/quota.h"
#include "relayd/stream/bridge.h"
#include "relayd/stream/stream.h"

/*
 * Files aren't interactive: when bytes wake relayd, whoever runs may finish his turn, and then more
 * of them wait (sched(7), SCHED_BATCH). A policy that somebody chose stays.
 */
static int start_batch_scheduling(void *config)
{
	const struct sched_param param = { 0 };

	if (sched_getscheduler(0) == SCHED_OTHER)
		(void)sched_setscheduler(0, SCHED_BATCH, &param);
	return 0;
}

static const struct daemon_module scheduling_module = { "scheduling", start_batch_scheduling,
	                                                NULL };

static const struct daemon_module *const modules[] = {
	&scheduling_module, &pipe_pool_module,
	&store_module,      &outbox_module,
	&calendar_module,   &ledger_module,
	&quota_module,      &admission_module,
	&claim_module,      &drain_module,
	&transfer_module,   &pending_module,
	&stream_module,     &dial_module,
	&bridge_module,     &handshake_module,
	&half_module,       &listener_module,
	&control_module,    &presence_module,
	&advertised_module, NULL,
};

static bool serving(void)
{
	return !daemon_draining() && store_ready();
}

static void dump(void)
{
	log_info("state streams=%zu bridges=%zu connections=%zu pending=%zu bytes=%llu redis=%s "
	         "draining=%s",
	         stream_count(), bridge_count(), half_count(), pending_count(),
	         (unsigned long long)stream_bytes(), store_ready() ? "ready" : "away",
	         daemon_draining() ? "yes" : "no");
}

static const char *(*const libraries[])(void) = { http_server_version, redis_version,
	                                          resolve_version, NULL };

int main(int argc, char **argv)
{
	static const struct daemon_spec spec = {
		.config = &relay_config,
		.common_offset = offsetof(struct relay_conf, common),
		.modules = modules,
		.check = conf_check,
		.drain = drain_begin,
		.dump = dump,
		.health_url = conf_health_url,
		.serving = serving,
		.versions = libraries,
	};

	return daemon_main(argc, argv, &spec);
}
