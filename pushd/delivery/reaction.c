#include "pushd/delivery/reaction.h"

#include <string.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "pushd/db.h"
#include "pushd/delivery/history.h"
#include "pushd/delivery/keeper.h"
#include "pushd/delivery/merge.h"
#include "pushd/provider/counters.h"
#include "pushd/provider/environment.h"

#define RETRY_LEAST_MS 1000
#define RETRY_MOST_MS (5 * 60 * 1000)
#define THROTTLED_LEAST_MS (60 * 1000)
#define THROTTLED_MOST_MS (15 * 60 * 1000)
#define DOUBT_LEAST_MS (60 * 1000)
#define DOUBT_MOST_MS (6 * 60 * 60 * 1000)
#define SUSPECT_DAYS 3 /* a token that was doubtful on so many is dead */

static const struct conf_provider *provider_of(const struct delivery *delivery)
{
	return sender_provider(delivery->sender);
}

/* ---- two ways on ---- */

/* For whoever asks why a phone stays silent. */
static void note(const struct delivery *delivery, enum outcome outcome)
{
	const struct judgement *judgement = &delivery->job.judgement;

	if (delivery->job.attempts == 0)
		return;
	history_add(delivery->device.node, provider_of(delivery)->id, judgement->status,
	            judgement->reason, outcome);
	if (outcome == OUTCOME_SENT || outcome == OUTCOME_GONE)
		return;
	log_info("notification-failed provider=%s node=%.6s id=%s status=%u reason=%s outcome=%s",
	         provider_of(delivery)->id, delivery->device.node, delivery->note_id,
	         judgement->status, judgement->reason, outcome_names[outcome]);
}

static void finish(struct delivery *delivery, enum outcome outcome, const char *reason)
{
	note(delivery, outcome);
	delivery_finish(delivery, outcome, reason);
}

static void postpone(struct delivery *delivery, uint64_t delay_ms)
{
	int64_t least_ms = delivery->job.judgement.retry_after_ms;

	note(delivery, OUTCOME_QUEUED);
	keeper_postpone(delivery, delay_ms < (uint64_t)least_ms ? (uint64_t)least_ms : delay_ms);
}

/* The delay after so many attempts as DELIVERY has had: LEAST_MS doubles to MOST_MS. */
static uint64_t backoff_ms(const struct delivery *delivery, uint32_t least_ms, uint32_t most_ms)
{
	struct backoff backoff = { .least_ms = least_ms, .most_ms = most_ms };

	for (unsigned i = 0; i < delivery->attempts && backoff.current_ms < most_ms; i++)
		backoff_next(&backoff);
	return backoff_next(&backoff);
}

/* An attempt has failed. */
static void wait_longer(struct delivery *delivery, uint32_t least_ms, uint32_t most_ms)
{
	uint64_t delay_ms = backoff_ms(delivery, least_ms, most_ms);

	delivery->tried = true;
	delivery->attempts++;
	postpone(delivery, delay_ms);
}

static void try_again(struct delivery *delivery)
{
	wait_longer(delivery, RETRY_LEAST_MS, RETRY_MOST_MS);
}

/*
 * The provider won't have it as it is: a token, a topic or a payload at fault. What was answered
 * `queued` stays until it expires, since the fault may be ours and be mended.
 */
static void refuse(struct delivery *delivery)
{
	if (!delivery->stored) {
		finish(delivery, OUTCOME_UNAVAILABLE, delivery->job.judgement.reason);
		return;
	}
	delivery->slotted = !merge_bypasses(&delivery->notification, delivery->priority);
	wait_longer(delivery, DOUBT_LEAST_MS, DOUBT_MOST_MS);
}

/* ---- a dead registration ---- */

/* What was answered `queued` isn't given up for what may pass. */
static void fail(struct delivery *delivery, const char *reason)
{
	if (delivery->stored)
		try_again(delivery);
	else
		finish(delivery, OUTCOME_UNAVAILABLE, reason);
}

/* The app's second token is dead; the call goes to the first one as an alert. */
static void on_second_buried(struct device_removal *removal, enum stored stored)
{
	struct delivery *delivery = container_of(removal, struct delivery, removal);

	if (stored == STORED_ABSENT) {
		finish(delivery, OUTCOME_GONE, NULL);
		return;
	}
	delivery->device.second_token = NULL;
	delivery->priority = PRIORITY_HIGH;
	if (delivery->stored)
		keeper_postpone(delivery, 0);
	else if (delivery->abandoned)
		finish(delivery, OUTCOME_UNAVAILABLE, "second-token-gone");
	else
		delivery_dispatch(delivery);
}

static void on_buried(struct device_removal *removal, enum stored stored)
{
	struct delivery *delivery = container_of(removal, struct delivery, removal);

	switch (stored) {
	case STORED_DONE:
		counters_removed(provider_of(delivery), removal->count);
		log_info("device-gone provider=%s node=%.6s reason=%s", provider_of(delivery)->id,
		         delivery->device.node, delivery->job.judgement.reason);
		finish(delivery, OUTCOME_GONE, NULL);
		return;
	case STORED_ABSENT:
		finish(delivery, OUTCOME_GONE, NULL);
		return;
	case STORED_NEWER:
		fail(delivery, "registered-since");
		return;
	case STORED_AWAY:
		fail(delivery, "storage");
		return;
	}
}

static void bury(struct delivery *delivery)
{
	bool second = delivery->job.priority == PRIORITY_VOIP;
	int64_t before_ms = delivery->job.judgement.timestamp_ms;

	/* Without a time of the provider's: as the registration was when we read it, no newer. */
	if (before_ms <= 0)
		before_ms = delivery->device.registered_ms;
	delivery->phase = DELIVERY_BURYING;
	delivery->removal.done = second ? on_second_buried : on_buried;
	device_bury(&delivery->removal, db_redis(), &delivery->device, second, before_ms);
}

/* ---- a doubtful token ---- */

static void on_suspected(struct device_suspicion *suspicion, enum stored stored)
{
	struct delivery *delivery = container_of(suspicion, struct delivery, suspicion);

	if (stored == STORED_DONE && suspicion->days >= SUSPECT_DAYS &&
	    sender_trusted(delivery->sender))
		bury(delivery);
	else
		refuse(delivery);
}

static void suspect(struct delivery *delivery)
{
	if (delivery->job.priority == PRIORITY_VOIP) {
		refuse(delivery);
		return;
	}
	delivery->phase = DELIVERY_BURYING;
	delivery->suspicion.done = on_suspected;
	device_suspect(&delivery->suspicion, db_redis(), &delivery->device);
}

/* ---- sent ---- */

static void on_account_gone(struct device_removal *removal, enum stored stored)
{
	finish(container_of(removal, struct delivery, removal), OUTCOME_SENT, NULL);
}

static void sent(struct delivery *delivery)
{
	enum environment environment = delivery->job.environment;

	memcpy(delivery->id, delivery->job.judgement.id, sizeof(delivery->id));
	device_note_environment(
	        db_redis(), &delivery->device,
	        environment == ENVIRONMENT_UNKNOWN ? NULL : environment_names[environment]);
	if (!delivery->notification.account_removed) {
		finish(delivery, OUTCOME_SENT, NULL);
		return;
	}
	/*
	 * The account has gone from its server, so nothing will be published to this node again,
	 * unless its device has come once more since.
	 */
	delivery->phase = DELIVERY_BURYING;
	delivery->removal.done = on_account_gone;
	device_dismiss(&delivery->removal, db_redis(), &delivery->device);
}

/* ---- the verdict ---- */

/* This device gets too many: what comes meanwhile is merged with what waits. */
static void cool_down(struct delivery *delivery)
{
	delivery->slotted = !merge_bypasses(&delivery->notification, delivery->priority);
	wait_longer(delivery, THROTTLED_LEAST_MS, THROTTLED_MOST_MS);
}

void reaction_start(struct delivery *delivery)
{
	const struct job *job = &delivery->job;

	switch (job->judgement.verdict) {
	case VERDICT_SENT:
		sent(delivery);
		return;
	case VERDICT_GONE:
		bury(delivery);
		return;
	case VERDICT_SUSPECT:
		suspect(delivery);
		return;
	case VERDICT_THROTTLED:
		cool_down(delivery);
		return;
	case VERDICT_UNREACHABLE: /* the breaker says when */
		postpone(delivery, 0);
		return;
	case VERDICT_CREDENTIAL:
		if (delivery->stored)
			postpone(delivery, 0);
		else
			finish(delivery, OUTCOME_UNAVAILABLE, job->judgement.reason);
		return;
	case VERDICT_TOO_LARGE:
		/* It was too late to cut it: it is cut when it is sent next. */
		if (delivery->stored && job->request.cut < CUT_TEXT) {
			postpone(delivery, 0);
			return;
		}
		break;
	case VERDICT_TRANSIENT:
	case VERDICT_UNKNOWN:
	case VERDICT_EXPIRED:
		try_again(delivery);
		return;
	default:
		break;
	}
	refuse(delivery);
}
