#include "pushd/device/sweep.h"

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "pushd/conf.h"
#include "pushd/db.h"
#include "pushd/device/device.h"

#define STEP 100 /* devices in one script, which holds up all other calls to Redis */
#define STEP_PAUSE_MS 20
#define LOOK_MAX_MS 60000
#define LOOK_MIN_MS 500

static int64_t look_ms;
static struct timer timer;
static struct device_removal removal;

static int64_t expired_number;
static struct metric expired_metric = {
	.name = "outrigger_pushd_devices_expired_total",
	.help = "Devices removed because nobody renewed them.",
	.kind = METRIC_COUNTER,
	.numbers = &expired_number,
};

static void on_swept(struct device_removal *swept, enum device_result result)
{
	if (result == DEVICE_DONE) {
		metric_add(&expired_metric, 0, swept->count);
		log_info("devices-expired count=%u", swept->count);
	}
	timer_start(&timer, result == DEVICE_DONE && swept->count == STEP ? STEP_PAUSE_MS
	                                                                  : (uint64_t)look_ms);
}

static void on_due(struct timer *due)
{
	removal.done = on_swept;
	device_expire(&removal, db_redis(), STEP);
}

static int start(void *config)
{
	const struct conf *conf = config;

	look_ms = conf->daemon.device_ttl_ms / 4;
	if (look_ms > LOOK_MAX_MS)
		look_ms = LOOK_MAX_MS;
	if (look_ms < LOOK_MIN_MS)
		look_ms = LOOK_MIN_MS;
	metrics_add(&expired_metric);
	timer.expired = on_due;
	timer_start(&timer, (uint64_t)look_ms);
	return 0;
}

static void stop(void)
{
	timer_stop(&timer);
	redis_cancel(&removal.call);
}

const struct daemon_module sweep_module = { "sweep", start, stop };
