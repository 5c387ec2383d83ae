#include "pushd/api/domain_limit.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/loop.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "pushd/api/rate.h"
#include "pushd/conf.h"
#include "pushd/device/bare_jid.h"

#define DOMAINS_MAX 65536

static struct rate rate;
static bool limited;

static int64_t refused_number;
static struct metric refused_metric = {
	.name = "outrigger_pushd_domain_refusals_total",
	.help = "Notifications that were refused because their publisher's domain sent too many.",
	.kind = METRIC_COUNTER,
	.numbers = &refused_number,
};

static int start(void *config)
{
	const struct conf_daemon *daemon = &((const struct conf *)config)->daemon;

	limited = daemon->domain_rate > 0;
	metrics_add(&refused_metric);
	if (!limited)
		return 0;
	rate.burst = (uint32_t)daemon->domain_burst;
	rate.interval_ns = UINT64_C(1000000000) / (uint64_t)daemon->domain_rate;
	rate.keys_max = DOMAINS_MAX;
	rate_init(&rate);
	return 0;
}

static void stop(void)
{
	if (limited)
		rate_release(&rate);
	limited = false;
}

bool domain_limit_allow(const char *domain)
{
	char *folded;
	uint64_t wait_ns;

	if (!limited)
		return true;
	folded = bare_jid_fold(domain);
	wait_ns = rate_take(&rate, folded, strlen(folded), loop_now_ns());
	free(folded);
	metric_add(&refused_metric, 0, wait_ns > 0);
	return wait_ns == 0;
}

const struct daemon_module domain_limit_module = { "domain-limit", start, stop };
