/*
 * What came of the notifications of each provider since this process started: verdicts with their
 * reasons and latencies, outcomes, devices that were removed. Shown by the API and as metrics.
 */
#ifndef OG_PUSHD_API_STATISTICS_H
#define OG_PUSHD_API_STATISTICS_H

#include <stdint.h>

#include "common/http/http_server.h"
#include "pushd/conf.h"
#include "pushd/delivery/delivery.h"
#include "pushd/provider/provider.h"

/* For the daemon's table of modules: before the senders. */
extern const struct daemon_module statistics_module;

/*
 * The functions that count take the provider as the configuration has it (sender_provider()); for
 * any other, or while the module isn't started, they do nothing.
 */

/*
 * A request was answered, or ended without an answer (STATUS 0), DURATION_NS after it was sent.
 * JUDGEMENT is as it was judged, before what is done about it.
 */
void statistics_verdict(const struct conf_provider *provider, const struct judgement *judgement,
                        unsigned status, uint64_t duration_ns);

/* A notification has its outcome: once for each, when its caller gets it. */
void statistics_outcome(const struct conf_provider *provider, enum outcome outcome);

/* A registration was removed because the provider called it dead. */
void statistics_removed(const struct conf_provider *provider);

/* GET /v1/statistics. */
void statistics_serve(struct http_request *request);

#endif
