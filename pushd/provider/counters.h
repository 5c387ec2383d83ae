/*
 * The numbers of each provider since this process started: requests with the reasons of those that
 * failed and their latencies, outcomes of notifications, devices removed. They are the metrics
 * outrigger_pushd_provider_*, and what GET /v1/statistics shows.
 *
 * A provider is named as the configuration has it (sender_provider()); for any other, or while the
 * module isn't started, the functions that count do nothing.
 */
#ifndef OG_PUSHD_PROVIDER_COUNTERS_H
#define OG_PUSHD_PROVIDER_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include "common/daemon.h"
#include "pushd/conf.h"
#include "pushd/provider/outcome.h"
#include "pushd/provider/verdict.h"

#define COUNTERS_REASONS_MAX 64 /* distinct ones; APNs and FCM together document fewer */

/* For the daemon's table of modules: before the senders. */
extern const struct daemon_module counters_module;

/*
 * A request was answered, or ended without an answer (status 0), DURATION_NS after it was sent.
 * JUDGEMENT is the answer's, before anything is done about it.
 */
void counters_request(const struct conf_provider *provider, const struct judgement *judgement,
                      uint64_t duration_ns);

/*
 * A caller was told the outcome of a notification: once for each. PROVIDER is NULL where it isn't
 * known, since the device isn't.
 */
void counters_outcome(const struct conf_provider *provider, enum outcome outcome);

/* COUNT registrations were removed because the provider called their token dead. */
void counters_removed(const struct conf_provider *provider, unsigned count);

/* The numbers of one provider; borrowed for the life of the module. */
struct counters {
	const int64_t *sent, *removed;
	const int64_t *outcomes; /* OUTCOME_COUNT */
	const int64_t *failures; /* COUNTERS_REASONS_MAX, by counters_reasons() */
	const int64_t *latency;  /* METRIC_HISTOGRAM_NUMBERS */
};

/* Those of the provider that is at INDEX in the configuration. */
struct counters counters_of(size_t index);

/* The reasons, COUNTERS_REASONS_MAX of them; NULL: not used yet. */
const char *const *counters_reasons(void);

/* When counting began, by the wall clock. */
int64_t counters_since_ms(void);

#endif
