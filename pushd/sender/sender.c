#include "pushd/sender/sender.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "pushd/credential/credential.h"
#include "pushd/provider/kinds.h"
#include "pushd/sender/guard.h"
#include "pushd/sender/lane.h"
#include "pushd/sender/pacer.h"

struct sender {
	const struct conf_provider *provider;
	const struct provider_kind *kind;
	struct credential *credential;
	struct credential_watch watch;
	struct provider_environments environments;
	struct pacer pacer;
	struct guard guard;
	bool doubting;    /* the last accusation wasn't believed */
	bool other_first; /* the other lane was the first at the pacer the last time */
	size_t queue_max;
	struct lane lane;  /* to the configured environment */
	struct lane other; /* with try-other-environment only */
};

void sender_metrics(void)
{
	lane_metrics();
}

static bool has_other(const struct sender *sender)
{
	return sender->environments.other != ENVIRONMENT_UNKNOWN;
}

static void on_credential(struct credential_watch *watch)
{
	struct sender *sender = container_of(watch, struct sender, watch);

	lane_renew(&sender->lane);
	if (has_other(sender))
		lane_renew(&sender->other);
}

static void on_pace(struct pacer *pacer)
{
	struct sender *sender = container_of(pacer, struct sender, pacer);

	/* Where but one may go each time, it would always be the same lane's. */
	sender->other_first = has_other(sender) && !sender->other_first;
	if (sender->other_first)
		lane_wake(&sender->other);
	lane_wake(&sender->lane);
	if (has_other(sender))
		lane_wake(&sender->other);
}

/* ---- what came of a job ---- */

/* A token of one environment is a bad one in the other. */
static bool try_other(struct job *job)
{
	struct sender *sender = job->sender;

	if (!has_other(sender) || job->moved || job->notification == NULL ||
	    !job->judgement.other_environment || loop_now_ms() >= job->deadline_ms)
		return false;
	job->moved = true;
	job->first = job->judgement;
	job->renewed = false;
	lane_submit(job->lane == &sender->lane ? &sender->other : &sender->lane, job);
	return true;
}

/* Design 10: no registration is deleted because of our trouble. */
static void weigh_accusation(struct job *job)
{
	struct sender *sender = job->sender;
	bool doubting;

	guard_accused(&sender->guard);
	doubting = !sender_trusted(sender);
	if (doubting && !sender->doubting)
		log_warn("tokens-doubted provider=%s reason=%s accused=%u of=%u",
		         sender->provider->id, job->judgement.reason, sender->guard.accusations,
		         sender->guard.count);
	sender->doubting = doubting;
	if (doubting && job->judgement.verdict == VERDICT_GONE)
		job->judgement.verdict = VERDICT_SUSPECT;
}

static void on_lane_done(struct job *job)
{
	struct sender *sender = job->sender;

	if (try_other(job))
		return;
	/* The other environment may be closed to this credential, which says nothing of here. */
	if (job->moved && job->judgement.verdict == VERDICT_CREDENTIAL)
		job->judgement = job->first;
	if (job->judgement.verdict == VERDICT_SENT) {
		guard_sent(&sender->guard, loop_now_ms());
		if (job->moved)
			job->environment = job->lane->environment;
	} else if (job->judgement.token_fault) {
		weigh_accusation(job);
	}
	job->done(job);
}

/* ---- the sender itself ---- */

static void start_lane(struct sender *sender, struct lane *lane, enum environment environment)
{
	lane->done = on_lane_done;
	lane->provider = sender->provider;
	lane->kind = sender->kind;
	lane->credential = sender->credential;
	lane->pacer = &sender->pacer;
	lane->environment = environment;
	sender->kind->origin(sender->provider, environment, NULL, lane->endpoint);
	lane_start(lane);
}

struct sender *sender_new(const struct conf_provider *provider, size_t queue_max, char **why)
{
	struct sender *sender = mem_alloc(1, sizeof(*sender));

	sender->provider = provider;
	sender->kind = provider_kinds[provider->kind];
	sender->watch.changed = on_credential;
	sender->credential =
	        credential_open(provider, sender->kind->credential, &sender->watch, why);
	if (sender->credential == NULL) {
		free(sender);
		return NULL;
	}
	sender->queue_max = queue_max;
	sender->pacer.passed = on_pace;
	pacer_init(&sender->pacer, provider->rate_max);
	sender->environments.own = ENVIRONMENT_PRODUCTION;
	if (sender->kind->environments != NULL)
		sender->kind->environments(provider, &sender->environments);
	start_lane(sender, &sender->lane, sender->environments.own);
	if (has_other(sender))
		start_lane(sender, &sender->other, sender->environments.other);
	return sender;
}

void sender_free(struct sender *sender)
{
	if (sender == NULL)
		return;
	lane_stop(&sender->lane);
	if (has_other(sender))
		lane_stop(&sender->other);
	pacer_release(&sender->pacer);
	credential_close(sender->credential);
	free(sender);
}

bool sender_submit(struct sender *sender, struct job *job)
{
	bool other = has_other(sender) && job->environment == sender->other.environment;

	if (sender_queued(sender) >= sender->queue_max)
		return false;
	job->sender = sender;
	if (job->id[0] == '\0')
		uuid_make(job->id);
	lane_submit(other ? &sender->other : &sender->lane, job);
	return true;
}

bool sender_abandon(struct job *job)
{
	if (job->connection != NULL) {
		job->notification = NULL;
		return false;
	}
	sender_cancel(job);
	return true;
}

void sender_cancel(struct job *job)
{
	lane_cancel(job);
}

const struct conf_provider *sender_provider(const struct sender *sender)
{
	return sender->provider;
}

enum sender_refusal sender_refusal(const struct sender *sender)
{
	int64_t rate = sender->provider->rate_max;

	if (sender->lane.breaker.open)
		return sender->lane.breaker.fault == BREAKER_CREDENTIAL ? SENDER_CREDENTIAL
		                                                        : SENDER_UNREACHABLE;
	if (pacer_paused(&sender->pacer))
		return SENDER_UNREACHABLE;
	return rate > 0 && sender_queued(sender) >= (size_t)rate ? SENDER_PACED : SENDER_TAKES;
}

unsigned sender_room(const struct sender *sender)
{
	return lane_room(&sender->lane);
}

bool sender_trusted(const struct sender *sender)
{
	return guard_trusts(&sender->guard, loop_now_ms());
}

const char *sender_state(const struct sender *sender)
{
	switch (credential_state(sender->credential, NULL)) {
	case CREDENTIAL_FAILED:
	case CREDENTIAL_ABSENT:
	case CREDENTIAL_INVALID:
		return breaker_fault_names[BREAKER_CREDENTIAL];
	case CREDENTIAL_READY:
	case CREDENTIAL_WAITING:
	case CREDENTIAL_UNREACHABLE:
		break;
	}
	if (!sender->lane.breaker.open)
		return "ready";
	return breaker_fault_names[sender->lane.breaker.fault];
}

size_t sender_queued(const struct sender *sender)
{
	return sender->lane.queue.count + (has_other(sender) ? sender->other.queue.count : 0);
}
