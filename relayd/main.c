#include <sched.h>

#include "common/base/log.h"
#include "common/daemon.h"
#include "common/net/resolve.h"
#include "common/redis/redis.h"
#include "relayd/announce.h"
#include "relayd/api/activation.h"
#include "relayd/api/server.h"
#include "relayd/conf.h"
#include "relayd/drain.h"
#include "relayd/fleet/claim.h"
#include "relayd/fleet/dial.h"
#include "relayd/fleet/fleet.h"
#include "relayd/front/handshake.h"
#include "relayd/front/listener.h"
#include "relayd/front/source_limit.h"
#include "relayd/io/conn.h"
#include "relayd/io/pair.h"
#include "relayd/io/pump.h"
#include "relayd/quota/active.h"
#include "relayd/quota/calendar.h"
#include "relayd/quota/lease.h"
#include "relayd/quota/outbox.h"
#include "relayd/quota/retention.h"
#include "relayd/stream/bridge.h"
#include "relayd/stream/stream.h"

/*
 * SCHED_BATCH (sched(7)): don't preempt the running task for each arrival; by the time relayd runs
 * there is more to splice. A policy that was set from outside is kept.
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
	&scheduling_module,   &pump_module,
	&fleet_module,        &outbox_module,
	&calendar_module,     &lease_module,
	&active_module,       &activation_module,
	&claim_module,        &drain_module,
	&conn_module,         &pair_module,
	&source_limit_module, &handshake_module,
	&stream_module,       &dial_module,
	&bridge_module,       &listener_module,
	&server_module,       &announce_module,
	&retention_module,    NULL,
};

static bool serving(void)
{
	return !daemon_draining() && fleet_ready() && !handshake_full();
}

static void dump(void)
{
	log_info("state streams=%zu bridges=%zu connections=%zu pending=%zu bytes=%llu redis=%s "
	         "draining=%s full=%s",
	         stream_count(), bridge_count(), conn_count(), source_limit_count(),
	         (unsigned long long)(stream_bytes() + bridge_bytes()),
	         fleet_ready() ? "ready" : "unavailable", daemon_draining() ? "yes" : "no",
	         handshake_full() ? "yes" : "no");
}

static const char *(*const libraries[])(void) = { http_server_version, redis_version,
	                                          resolve_version, NULL };

int main(int argc, char **argv)
{
	static const struct daemon_spec spec = {
		.config = &relay_config,
		.common_offset = offsetof(struct relay_conf, common),
		.health_offset = offsetof(struct relay_conf, control_listen),
		.modules = modules,
		.check = conf_check,
		.dump = dump,
		.serving = serving,
		.versions = libraries,
	};

	return daemon_main(argc, argv, &spec);
}
