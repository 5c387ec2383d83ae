#include "xmppgw/component/outage.h"

#include "common/base/log.h"
#include "common/base/metrics.h"

#define STEADY_MS 10000 /* a stream that lived this long may be rebuilt at once */
#define LEAST_MS 1000
#define MOST_MS 30000
#define JITTER_MS 1000

static const char *const reason_names[OUTAGE_REASONS] = {
	[OUTAGE_NAME] = "name-not-resolved",
	[OUTAGE_CONNECT] = "not-connected",
	[OUTAGE_TIMEOUT] = "timed-out",
	[OUTAGE_LOST] = "connection-lost",
	[OUTAGE_CLOSED] = "closed",
	[OUTAGE_CONFLICT] = "conflict",
	[OUTAGE_REFUSED] = "refused",
	[OUTAGE_ERROR] = "stream-error",
	[OUTAGE_XML] = "bad-xml",
	[OUTAGE_SLOW] = "not-reading",
};

/* How long the next attempt waits at least. */
static const uint32_t reason_wait_ms[OUTAGE_REASONS] = {
	[OUTAGE_CONFLICT] = 5000, /* another one has our name: don't fight over it */
	[OUTAGE_REFUSED] = 60000, /* until an operator has changed something */
};

static int64_t numbers[OUTAGE_REASONS];
static struct metric metric = {
	.name = "outrigger_xmppgw_links_ended_total",
	.help = "Connections to XMPP servers that ended, by reason.",
	.kind = METRIC_COUNTER,
	.label = "reason",
	.values = reason_names,
	.series = OUTAGE_REASONS,
	.numbers = numbers,
};

void outage_init(struct outage *outage)
{
	outage->backoff = (struct backoff){ .least_ms = LEAST_MS, .most_ms = MOST_MS };
	outage->fresh = true;
	outage->logged = -1;
}

void outage_over(struct outage *outage)
{
	outage->logged = -1;
}

static uint32_t next_wait(struct outage *outage, enum outage_reason reason, uint64_t up_ms)
{
	uint32_t wait_ms;

	if (up_ms >= STEADY_MS) {
		outage->fresh = true;
		backoff_reset(&outage->backoff);
	}
	wait_ms = outage->fresh ? 0 : backoff_next(&outage->backoff);
	outage->fresh = false;
	if (wait_ms < reason_wait_ms[reason])
		wait_ms = reason_wait_ms[reason] + backoff_random() % JITTER_MS;
	return wait_ms;
}

uint32_t outage_begin(struct outage *outage, const char *component, enum outage_reason reason,
                      const char *detail, uint64_t up_ms)
{
	void (*log)(const char *format, ...) = log_warn;
	uint32_t wait_ms = next_wait(outage, reason, up_ms);

	if (outage->logged == (int)reason)
		log = log_debug;
	log("link-ended component=%s reason=%s detail=\"%s\" up-ms=%llu retry-ms=%u", component,
	    reason_names[reason], detail, (unsigned long long)up_ms, wait_ms);
	outage->logged = (int)reason;
	numbers[reason]++;
	return wait_ms;
}

void outage_metrics(void)
{
	metrics_add(&metric);
}
