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

static int start_nothing(void *config)
{
	return 0;
}

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

/* clang-format off */
static const struct daemon_module modules[] = {
	{ "scheduling",    start_batch_scheduling, NULL },
	{ "pipes",         pipe_pool_start,        pipe_pool_stop },
	{ "store",         store_start,            store_stop },
	{ "outbox",        outbox_start,           outbox_stop },
	{ "calendar",      calendar_start,         calendar_stop },
	{ "ledgers",       ledger_start,           ledger_stop },
	{ "quotas",        quota_start,            quota_stop },
	{ "admission",     admission_start,        NULL },
	{ "claims",        claim_start,            claim_stop },
	{ "drain",         start_nothing,          drain_stop },
	{ "transfers",     transfer_start_queues,  transfer_stop_queues },
	{ "pending",       pending_start,          pending_close },
	{ "streams",       stream_start,           stream_stop },
	{ "dialling",      dial_start,             dial_stop },
	{ "bridges",       bridge_start,           bridge_stop },
	{ "handshakes",    handshake_start,        NULL },
	{ "halves",        half_start,             half_stop },
	{ "listener",      listener_start,         listener_stop },
	{ "control",       control_start,          control_stop },
	{ "presence",      presence_start,         presence_stop },
	{ "advertised",    advertised_start,       advertised_stop },
	{ 0 },
};
/* clang-format on */

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
