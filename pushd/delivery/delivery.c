#include "pushd/delivery/delivery.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/log_rate.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "pushd/db.h"
#include "pushd/delivery/history.h"
#include "pushd/delivery/refusal.h"
#include "pushd/device/recipient.h"
#include "pushd/provider/counters.h"
#include "pushd/provider/environment.h"
#include "pushd/sender/sender.h"

#define GATES_QUIET_MAX 65536
#define CALL_EXPIRY_MS 30000 /* nobody answers a call that is older */

/* When a notification that can't be sent now is tried again. */
#define QUEUE_RETRY_MS 1000  /* it wasn't sent at all */
#define STORAGE_RETRY_MS 500 /* Redis gave no answer */
#define RETRY_LEAST_MS 1000
#define RETRY_MOST_MS (5 * 60 * 1000)
#define THROTTLED_LEAST_MS (60 * 1000)
#define THROTTLED_MOST_MS (15 * 60 * 1000)
#define REFUSED_LEAST_MS (60 * 1000)
#define REFUSED_MOST_MS (6 * 60 * 60 * 1000)

#define SUSPECT_DAYS 3 /* a token is dead once device_mark_suspect() says so many */

static struct {
	struct list deliveries;
	size_t count, max;
	uint64_t answer_within_ms;
	struct gates gates;
	void (*queued)(const struct sender *sender, uint64_t delay_ms);
	struct timer drained; /* then the requests on the wire have had their time */
	void (*idle)(void);   /* set while draining */
} self;

/* A stranger's bad token causes the first kinds, a device whose provider is gone the last. */
static struct log_rate failed_rates[OUTCOME_COUNT] = {
	[OUTCOME_QUEUED] = { .what = "notification-failed outcome=queued" },
	[OUTCOME_MERGED] = { .what = "notification-failed outcome=merged" },
	[OUTCOME_UNAVAILABLE] = { .what = "notification-failed outcome=unavailable" },
};
static struct log_rate unknown_rate = { .what = "provider-unknown" };

static int64_t read_count(void)
{
	return (int64_t)self.count;
}

static struct metric count_metric = {
	.name = "outrigger_pushd_notifications_in_flight",
	.help = "Notifications that this process is busy with.",
	.kind = METRIC_GAUGE,
	.read = read_count,
};

enum { AGAIN_LOOK_UP, AGAIN_PUT };
static const char *const again_names[] = { "look-up", "put" };
static int64_t again_numbers[ARRAY_LEN(again_names)];
static struct metric again_metric = {
	.name = "outrigger_pushd_storage_retries_total",
	.help = "What Redis was asked again for a publish because it gave no answer.",
	.kind = METRIC_COUNTER,
	.label = "what",
	.values = again_names,
	.series = ARRAY_LEN(again_names),
	.numbers = again_numbers,
};

/* ---- contents ---- */

/* The phases. */
static void enter(struct delivery *delivery, enum delivery_phase phase);
static void stop_looking(struct delivery *delivery);
static void stop_waiting(struct delivery *delivery);
static void stop_enqueueing(struct delivery *delivery);
static void stop_sending(struct delivery *delivery);
static void stop_securing(struct delivery *delivery);
static void stop_removing(struct delivery *delivery);
static void stop_queue_call(struct delivery *delivery);
static bool withdraw(struct delivery *delivery);
static void conclude_looking(struct delivery *delivery);
static bool abandon_looking(struct delivery *delivery);
static bool abandon_waiting(struct delivery *delivery);
static void conclude_sending(struct delivery *delivery);

/* The ways on, from the device that was found to the outcome. */
static void find_device(struct delivery *delivery);
static void dispatch(struct delivery *delivery);
static void submit(struct delivery *delivery);
static void secure(struct delivery *delivery);
static void postpone(struct delivery *delivery, uint64_t delay_ms);
static void react(struct delivery *delivery);
static void finish(struct delivery *delivery, enum outcome outcome, const char *reason);

/*
 * What each phase does when its caller wants an outcome (NULL: one comes anyway), when nobody waits
 * for one any more (true: nothing is under way now; NULL: it goes on), and when the process stops:
 * then what it waits for is forgotten.
 */
/* clang-format off */
static const struct {
	const char *name;
	void (*conclude)(struct delivery *delivery);
	bool (*abandon)(struct delivery *delivery);
	void (*cancel)(struct delivery *delivery);
} phases[] = {
	[DELIVERY_LOOKING]    = { "looking", conclude_looking, abandon_looking, stop_looking },
	[DELIVERY_WAITING]    = { "waiting", NULL, abandon_waiting, stop_waiting },
	[DELIVERY_ENQUEUEING] = { "enqueueing", NULL, NULL, stop_enqueueing },
	[DELIVERY_SENDING]    = { "sending", conclude_sending, withdraw, stop_sending },
	[DELIVERY_SECURING]   = { "securing", NULL, NULL, stop_securing },
	[DELIVERY_JUDGED]     = { "judged", NULL, NULL, stop_queue_call },
	[DELIVERY_LEASED]     = { "leased", NULL, NULL, stop_sending },
	[DELIVERY_REMOVING]   = { "removing", NULL, NULL, stop_removing },
	[DELIVERY_LEAVING]    = { "leaving", NULL, NULL, stop_queue_call },
};
/* clang-format on */

static void enter(struct delivery *delivery, enum delivery_phase phase)
{
	if (log_debugging())
		log_debug("notification-phase id=%s from=%s to=%s", delivery->queue_id,
		          phases[delivery->phase].name, phases[phase].name);
	delivery->phase = phase;
}

/* ---- what it knows ---- */

size_t deliveries_count(void)
{
	return self.count;
}

size_t deliveries_max(void)
{
	return self.max;
}

const struct conf_provider *delivery_provider(const struct delivery *delivery)
{
	return delivery->sender != NULL ? sender_provider(delivery->sender) : NULL;
}

/* The provider's least time between two for its device; 0: none. */
static uint64_t interval_ms(const struct delivery *delivery)
{
	const struct conf_provider *provider = sender_provider(delivery->sender);

	/* A notification that expires sooner can't wait for it. */
	return (uint64_t)(provider->expiry_ms < provider->interval_ms ? 0 : provider->interval_ms);
}

static bool may_coalesce(const struct delivery *delivery)
{
	return !coalesce_bypasses(&delivery->notification, delivery->priority);
}

/* ---- the end ---- */

/* Its outcome is this; its caller is told once. */
static void answer(struct delivery *delivery, enum outcome outcome, const char *reason)
{
	delivery->outcome = outcome;
	mem_copy_word(delivery->reason, sizeof(delivery->reason), reason);
	if (log_debugging())
		log_debug("notification-settled node=%.6s outcome=%s reason=%s id=%s",
		          delivery->device.node != NULL ? delivery->device.node : "-",
		          outcome_names[outcome], delivery->reason, delivery->id);
	if (delivery->answered)
		return;
	delivery->answered = true;
	delivery->settled(delivery);
	delivery->item = NULL;
}

static void end(struct delivery *delivery)
{
	assert(delivery->answered && !queue_busy(&delivery->call));
	timer_stop(&delivery->lease);
	timer_stop(&delivery->again);
	if (delivery->gate != NULL)
		gate_drop(&self.gates, delivery->gate, loop_now_ms());
	arena_release(&delivery->arena);
	json_decref(delivery->own);
	list_remove(&delivery->link);
	self.count--;
	delivery->ended(delivery);
	if (self.count == 0 && self.idle != NULL)
		self.idle();
}

static void on_queue_left(struct queue_call *call, enum queue_result result)
{
	struct delivery *delivery = container_of(call, struct delivery, call);

	if (delivery->outcome == OUTCOME_QUEUED && self.queued != NULL)
		self.queued(delivery->sender, delivery->delay_ms);
	end(delivery);
}

/* The outcome is final: its entry in the queue goes, then it ends. */
static void finish(struct delivery *delivery, enum outcome outcome, const char *reason)
{
	answer(delivery, outcome, reason);
	if (!delivery->in_queue && !delivery->half_put) {
		end(delivery);
		return;
	}
	enter(delivery, DELIVERY_LEAVING);
	delivery->call.done = on_queue_left;
	queue_settle(&delivery->call, delivery->queue_id);
}

static void finish_unavailable(struct delivery *delivery, enum reason reason)
{
	finish(delivery, OUTCOME_UNAVAILABLE, reason_names[reason]);
}

/* ---- looking: the device ---- */

static const char *copy_text(struct delivery *delivery, const char *text)
{
	return text != NULL ? arena_dup(&delivery->arena, text, strlen(text)) : NULL;
}

static void copy_device(struct delivery *delivery, const struct device *device)
{
	delivery->device = (struct device){
		.node = copy_text(delivery, device->node),
		.component = copy_text(delivery, device->component),
		.owner = copy_text(delivery, device->owner),
		.provider = copy_text(delivery, device->provider),
		.token = copy_text(delivery, device->token),
		.second_token = copy_text(delivery, device->second_token),
		.device_id = copy_text(delivery, device->device_id),
		.channel_id = copy_text(delivery, device->channel_id),
		.dialect = copy_text(delivery, device->dialect),
		.account = copy_text(delivery, device->account),
		.alias = copy_text(delivery, device->alias),
		.environment = copy_text(delivery, device->environment),
		.registered_ms = device->registered_ms,
		.expires_ms = device->expires_ms,
		.proven = device->proven,
		.suspect_days = device->suspect_days,
	};
}

/* How urgent it is, and until when it is of use. The queue knows both of what comes from there. */
static void weigh(struct delivery *delivery)
{
	const struct conf_provider *provider = sender_provider(delivery->sender);
	const struct notification *notification = &delivery->notification;
	bool second = delivery->device.second_token != NULL;

	if (delivery->in_queue) {
		if (delivery->priority == PRIORITY_VOIP && !second)
			delivery->priority = PRIORITY_HIGH;
		return;
	}
	delivery->priority = notification_priority(
	        notification, provider->empty == CONF_EMPTY_LOW ? PRIORITY_LOW : PRIORITY_HIGH);
	if (second && notification_is_call(notification, delivery->priority))
		delivery->priority = PRIORITY_VOIP;
	delivery->expires_ms =
	        delivery->created_ms +
	        (delivery->priority == PRIORITY_VOIP ? CALL_EXPIRY_MS : provider->expiry_ms);
}

/*
 * Its publisher may send it to its device. From now on its caller waits answer-within for the
 * provider, however long Redis took before.
 */
static void admit(struct delivery *delivery)
{
	delivery->known_ms = loop_now_ms();
	if (delivery->send_until_ms > delivery->known_ms + self.answer_within_ms &&
	    !delivery->in_queue)
		delivery->send_until_ms = delivery->known_ms + self.answer_within_ms;
	weigh(delivery);
	/* Without an interval too: a throttled device has one waiting in its slot. */
	delivery->coalescable =
	        (interval_ms(delivery) > 0 || delivery->query.waiting) && may_coalesce(delivery);
	if (delivery->coalescable)
		delivery->gate = gate_hold(&self.gates, delivery->device.node);
	dispatch(delivery);
}

/*
 * Ends DELIVERY if it may not go to DEVICE (NULL: there is none); true: it has ended. One from the
 * queue isn't counted as refused: it was admitted before, and its device has gone since.
 */
static bool refuse(struct delivery *delivery, const struct device *device)
{
	if (!refusal_applies(&delivery->notification, device, !delivery->in_queue))
		return false;
	finish(delivery, OUTCOME_GONE, NULL);
	return true;
}

/* A notification that was answered `queued` isn't given up for trouble that may pass. */
static void fail_admission(struct delivery *delivery, enum reason reason)
{
	if (delivery->in_queue)
		postpone(delivery, QUEUE_RETRY_MS);
	else
		finish_unavailable(delivery, reason);
}

/* It is for several devices: its caller makes a delivery for each, and this one is over. */
static void leave_to_caller(struct delivery *delivery, const struct device *devices, size_t count)
{
	delivery->answered = true;
	delivery->aliased(delivery, devices, count);
	end(delivery);
}

/* True if Redis may be asked again: DELIVERY's caller will still be waiting for the answer. */
static bool may_ask_again(const struct delivery *delivery)
{
	return !delivery->in_queue && !delivery->caller_gone && !daemon_draining() &&
	       loop_now_ms() + STORAGE_RETRY_MS < delivery->deadline_ms;
}

static void ask_again(struct delivery *delivery, int what, void (*due)(struct timer *timer))
{
	metric_add(&again_metric, (size_t)what, 1);
	delivery->again.expired = due;
	timer_start(&delivery->again, STORAGE_RETRY_MS);
}

static void on_look_again(struct timer *timer)
{
	find_device(container_of(timer, struct delivery, again));
}

/* Redis doesn't answer: it is asked again, so that a publish outlives a restart of it. */
static void look_again(struct delivery *delivery)
{
	if (!may_ask_again(delivery)) {
		fail_admission(delivery, REASON_STORAGE);
		return;
	}
	delivery->unanswered = true;
	ask_again(delivery, AGAIN_LOOK_UP, on_look_again);
}

static void on_alias_found(struct device_query *query, enum device_result result,
                           const struct device *devices, size_t count)
{
	struct delivery *delivery = container_of(query, struct delivery, query);

	if (result == DEVICE_ALIAS)
		leave_to_caller(delivery, devices, count);
	else if (result == DEVICE_UNAVAILABLE)
		look_again(delivery);
	else
		refuse(delivery, NULL);
}

/* No device has this node, which may be an alias unless its caller looked it up. */
static void find_alias(struct delivery *delivery)
{
	if (delivery->aliased == NULL) {
		refuse(delivery, NULL);
		return;
	}
	delivery->query.done = on_alias_found;
	device_find_alias(&delivery->query, db_redis(), delivery->notification.node);
}

static void on_device_found(struct device_query *query, enum device_result result,
                            const struct device *device, size_t count)
{
	struct delivery *delivery = container_of(query, struct delivery, query);

	if (result == DEVICE_UNAVAILABLE) {
		look_again(delivery);
		return;
	}
	if (result == DEVICE_LIMIT) {
		fail_admission(delivery, REASON_DEVICE_LIMIT);
		return;
	}
	if (result == DEVICE_ABSENT) {
		find_alias(delivery);
		return;
	}
	if (result == DEVICE_ALIAS && delivery->aliased != NULL) {
		leave_to_caller(delivery, device, count);
		return;
	}
	if (refuse(delivery, result == DEVICE_DONE ? device : NULL))
		return;
	copy_device(delivery, device);
	/* Its server has learnt the device's own node, and would send everything twice. */
	if (delivery->aliased != NULL && device->alias != NULL)
		device_leave_alias(db_redis(), device);
	delivery->sender = senders_find(device->provider);
	if (delivery->sender == NULL) {
		if (log_rate_allows(&unknown_rate))
			log_warn("provider-unknown provider=%s node=%.6s", device->provider,
			         device->node);
		fail_admission(delivery, REASON_PROVIDER_UNKNOWN);
		return;
	}
	admit(delivery);
}

static void find_device(struct delivery *delivery)
{
	delivery->query.done = on_device_found;
	recipient_find(&delivery->query, &delivery->notification);
}

static void stop_looking(struct delivery *delivery)
{
	device_query_cancel(&delivery->query);
	timer_stop(&delivery->again);
}

static void conclude_looking(struct delivery *delivery)
{
	if (!delivery->unanswered)
		return;
	stop_looking(delivery);
	fail_admission(delivery, REASON_STORAGE);
}

static bool abandon_looking(struct delivery *delivery)
{
	stop_looking(delivery);
	return true;
}

/* ---- to the sender, or not now ---- */

/* How long it has to wait for others of its device. */
static uint64_t gate_delay_ms(const struct delivery *delivery)
{
	const struct gate *gate = delivery->gate;
	uint64_t wait_ms;

	if (gate == NULL)
		return 0;
	wait_ms = gate_wait_ms(gate, loop_now_ms(), interval_ms(delivery));
	/* The one on its way may take long: no need to ask the queue all the time. */
	if (delivery->in_queue && gate->taken && wait_ms < QUEUE_RETRY_MS)
		return QUEUE_RETRY_MS;
	/*
	 * An older notification for this device is queued already. Queue behind it; sending now
	 * would reorder them.
	 */
	if (wait_ms == 0 && !delivery->in_queue &&
	    (delivery->query.waiting || gate->enqueueing != NULL))
		return interval_ms(delivery) > 0 ? interval_ms(delivery) : QUEUE_RETRY_MS;
	return wait_ms;
}

static void dispatch(struct delivery *delivery)
{
	uint64_t delay_ms = gate_delay_ms(delivery);
	enum sender_refusal refusal = sender_refusal(delivery->sender);

	if (refusal == SENDER_CREDENTIAL && !delivery->in_queue) {
		finish_unavailable(delivery, REASON_CREDENTIAL);
		return;
	}
	if (delay_ms > 0 || delivery->concluding || daemon_draining()) {
		postpone(delivery, delay_ms);
		return;
	}
	/* A call rings for seconds only, also when it goes as an alert. */
	if (refusal == SENDER_TAKES ||
	    (refusal == SENDER_PACED &&
	     (delivery->priority == PRIORITY_VOIP ||
	      notification_is_call(&delivery->notification, delivery->priority))))
		submit(delivery);
	else
		postpone(delivery, 0);
}

/* ---- sending ---- */

static void leave_gate(struct delivery *delivery, bool sent)
{
	if (!delivery->holds_gate)
		return;
	delivery->holds_gate = false;
	gate_leave(delivery->gate, sent, loop_now_ms(), interval_ms(delivery));
}

static void on_job_done(struct job *job)
{
	struct delivery *delivery = container_of(job, struct delivery, job);

	leave_gate(delivery, job->judgement.verdict == VERDICT_SENT);
	/* The queue answers in the order of the calls, so it is asked again after this one. */
	if (delivery->phase == DELIVERY_SECURING && queue_busy(&delivery->call)) {
		enter(delivery, DELIVERY_JUDGED);
		return;
	}
	timer_stop(&delivery->again);
	react(delivery);
}

static void submit(struct delivery *delivery)
{
	delivery->job = (struct job){
		.done = on_job_done,
		.notification = &delivery->notification,
		.device = device_for_provider(&delivery->device,
		                              sender_provider(delivery->sender)->content),
		.priority = delivery->priority,
		.deadline_ms = delivery->send_until_ms,
		.expires_s = delivery->expires_ms / 1000,
		.unproven = !delivery->device.proven,
		.environment = environment_find(delivery->device.environment),
	};
	memcpy(delivery->job.id, delivery->queue_id, sizeof(delivery->job.id));
	if (!sender_submit(delivery->sender, &delivery->job)) {
		postpone(delivery, QUEUE_RETRY_MS);
		return;
	}
	enter(delivery, delivery->in_queue ? DELIVERY_LEASED : DELIVERY_SENDING);
	if (delivery->gate != NULL) {
		gate_enter(delivery->gate);
		delivery->holds_gate = true;
	}
}

/* Takes it back from its sender; false: it is on the wire, and its verdict will come. */
static bool withdraw(struct delivery *delivery)
{
	if (!sender_abandon(&delivery->job))
		return false;
	leave_gate(delivery, false);
	return true;
}

/* Takes it back even from the wire, whatever the provider makes of it. */
static void stop_sending(struct delivery *delivery)
{
	sender_cancel(&delivery->job);
	leave_gate(delivery, false);
}

static void conclude_sending(struct delivery *delivery)
{
	if (withdraw(delivery))
		postpone(delivery, delivery->job.attempts > 0 ? QUEUE_RETRY_MS : 0);
	else
		secure(delivery);
}

/* ---- into the queue ---- */

static void put(struct delivery *delivery, const struct queue_place *place)
{
	char *item = json_dumps(delivery->item, JSON_COMPACT);
	struct queue_entry entry = {
		.id = delivery->queue_id,
		.node = delivery->device.node,
		.provider = sender_provider(delivery->sender)->id,
		.domain = delivery->notification.domain,
		.priority = delivery->priority,
		.item = item,
		.count = delivery->notification.count,
		.created_ms = delivery->created_ms,
		.expires_ms = delivery->expires_ms,
		.attempts = delivery->attempts,
	};

	queue_put(&delivery->call, &entry, place);
	free(item);
}

static enum outcome outcome_of(enum queue_result result)
{
	if (result == QUEUE_DONE)
		return OUTCOME_QUEUED;
	return result == QUEUE_MERGED ? OUTCOME_MERGED : OUTCOME_UNAVAILABLE;
}

static const char *reason_of(enum queue_result result)
{
	if (result == QUEUE_DONE || result == QUEUE_MERGED)
		return NULL;
	return reason_names[result == QUEUE_FULL ? REASON_FULL : REASON_STORAGE];
}

static void enqueue(struct delivery *delivery);

/* DELIVERY isn't being put into the queue any more: the next one of its device may. */
static void enqueue_next(struct delivery *delivery)
{
	struct waiter *next;

	if (delivery->gate == NULL)
		return;
	next = gate_enqueued(delivery->gate);
	if (next != NULL)
		enqueue(container_of(next, struct delivery, waiter));
}

/* Ends the older ones that were merged into DELIVERY, whose outcome is OUTCOME. */
static void end_followers(struct delivery *delivery, enum outcome outcome, const char *reason)
{
	struct list_link *link;

	if (outcome == OUTCOME_SENT || outcome == OUTCOME_QUEUED)
		outcome = OUTCOME_MERGED;
	while ((link = list_take(&delivery->waiter.followers)) != NULL) {
		struct delivery *older = container_of(link, struct delivery, waiter.follower);

		answer(older, outcome, reason);
		end(older);
	}
}

/* An entry that is there already stays as it is, so it may be put once more. */
static void on_put_again(struct timer *timer)
{
	enqueue(container_of(timer, struct delivery, again));
}

static void on_queue_put(struct queue_call *call, enum queue_result result)
{
	struct delivery *delivery = container_of(call, struct delivery, call);

	if (result == QUEUE_UNAVAILABLE && may_ask_again(delivery)) {
		ask_again(delivery, AGAIN_PUT, on_put_again);
		return;
	}
	if (result == QUEUE_DONE && self.queued != NULL)
		self.queued(delivery->sender, delivery->delay_ms);
	enqueue_next(delivery);
	end_followers(delivery, outcome_of(result), reason_of(result));
	answer(delivery, outcome_of(result), reason_of(result));
	end(delivery);
}

/* It is the one of its device that is put now. */
static void enqueue(struct delivery *delivery)
{
	struct queue_place place = {
		.delay_ms = delivery->delay_ms,
		.slot = delivery->coalescable,
		.late = delivery->late,
	};

	enter(delivery, DELIVERY_ENQUEUEING);
	delivery->call.done = on_queue_put;
	put(delivery, &place);
}

static void enqueue_in_turn(struct delivery *delivery)
{
	delivery->late = delivery->phase != DELIVERY_LOOKING || delivery->unanswered;
	delivery->waiter.class = queue_class(delivery->priority, delivery->notification.count);
	delivery->waiter.created_ms = delivery->created_ms;
	delivery->waiter.count = &delivery->notification.count;
	if (delivery->gate == NULL || gate_enqueue(delivery->gate, &delivery->waiter))
		enqueue(delivery);
	else
		enter(delivery, DELIVERY_WAITING);
}

static void stop_waiting(struct delivery *delivery)
{
	gate_give_up(delivery->gate, &delivery->waiter);
	end_followers(delivery, OUTCOME_UNAVAILABLE, reason_names[REASON_DEADLINE]);
}

static bool abandon_waiting(struct delivery *delivery)
{
	stop_waiting(delivery);
	return true;
}

static void stop_queue_call(struct delivery *delivery)
{
	queue_cancel(&delivery->call);
}

static void stop_enqueueing(struct delivery *delivery)
{
	stop_queue_call(delivery);
	timer_stop(&delivery->again);
	end_followers(delivery, OUTCOME_UNAVAILABLE, reason_names[REASON_STOPPING]);
	if (delivery->gate != NULL)
		delivery->gate->enqueueing = NULL;
}

static void give_back(struct delivery *delivery)
{
	struct queue_place place = {
		.delay_ms = delivery->delay_ms,
		.slot = delivery->coalescable,
		.untried = !delivery->attempted,
	};

	/* Redis never confirmed the write, so answer `unavailable`, not `queued`. */
	if (delivery->caller_gone)
		answer(delivery, OUTCOME_UNAVAILABLE, reason_names[REASON_STORAGE]);
	else
		answer(delivery, OUTCOME_QUEUED, NULL);
	enter(delivery, DELIVERY_LEAVING);
	delivery->call.done = on_queue_left;
	queue_give_back(&delivery->call, delivery->queue_id, &place);
}

/*
 * It is to be sent DELAY_MS from now, and its sender doesn't have it: it is put into the queue or
 * given back to it, and ends. `unavailable` when it expires before.
 */
static void postpone(struct delivery *delivery, uint64_t delay_ms)
{
	delivery->delay_ms = delay_ms;
	if (loop_wall_ms() + (int64_t)delay_ms >= delivery->expires_ms)
		finish_unavailable(delivery, REASON_EXPIRED);
	else if (delivery->in_queue)
		give_back(delivery);
	else if (delivery->caller_gone)
		finish_unavailable(delivery, REASON_DEADLINE);
	else
		enqueue_in_turn(delivery);
}

/* ---- in the queue while it is on the wire ---- */

/* True while draining, once the requests on the wire have had their time. */
static bool drained(void)
{
	return self.idle != NULL && !timer_active(&self.drained);
}

/* Soon another pushd may take its entry: the provider's verdict would come too late. */
static void on_lease_end(struct timer *timer)
{
	struct delivery *delivery = container_of(timer, struct delivery, lease);

	if (delivery->phase != DELIVERY_LEASED)
		return;
	stop_sending(delivery);
	delivery->attempted = true;
	postpone(delivery, QUEUE_RETRY_MS);
}

/* Its entry is ours for a lease from now: its sender won't have it for longer. */
static void start_lease(struct delivery *delivery)
{
	delivery->lease.expired = on_lease_end;
	timer_start(&delivery->lease, drained() ? 0 : queue_lease_ms() * 3 / 4);
}

/* The same for one that was put more than once: the first put may have been carried out. */
static void start_secured_lease(struct delivery *delivery)
{
	uint64_t since_ms = loop_now_ms() - delivery->secured_ms;
	uint64_t own_ms = queue_lease_ms() * 3 / 4;

	start_lease(delivery);
	if (!drained())
		timer_start(&delivery->lease, own_ms > since_ms ? own_ms - since_ms : 0);
}

static void on_secure_again(struct timer *timer)
{
	secure(container_of(timer, struct delivery, again));
}

/* Redis doesn't answer, and the caller still has patience. */
static void secure_again(struct delivery *delivery)
{
	delivery->half_put = true;
	if (delivery->phase == DELIVERY_JUDGED)
		react(delivery);
	else
		ask_again(delivery, AGAIN_PUT, on_secure_again);
}

static void on_queue_secured(struct queue_call *call, enum queue_result result)
{
	struct delivery *delivery = container_of(call, struct delivery, call);

	if (result == QUEUE_UNAVAILABLE && may_ask_again(delivery)) {
		secure_again(delivery);
		return;
	}
	/* Where Redis didn't answer the entry may be there all the same. */
	delivery->in_queue = result == QUEUE_DONE || result == QUEUE_UNAVAILABLE;
	delivery->caller_gone = delivery->caller_gone || result != QUEUE_DONE;
	if (delivery->phase == DELIVERY_JUDGED) {
		react(delivery);
		return;
	}
	enter(delivery, delivery->in_queue ? DELIVERY_LEASED : DELIVERY_SENDING);
	if (delivery->in_queue)
		start_secured_lease(delivery);
	answer(delivery, outcome_of(result), reason_of(result));
}

/* It is on the wire: it is put into the queue under a lease, so that its caller can be answered. */
static void secure(struct delivery *delivery)
{
	struct queue_place place = { .leased = true };

	if (!delivery->half_put)
		delivery->secured_ms = loop_now_ms();
	enter(delivery, DELIVERY_SECURING);
	delivery->call.done = on_queue_secured;
	put(delivery, &place);
}

static void stop_securing(struct delivery *delivery)
{
	stop_queue_call(delivery);
	timer_stop(&delivery->again);
	stop_sending(delivery);
}

/* ---- the verdict: the ways on ---- */

/* Records the verdict in the history of the device, and a failure in the log. */
static void record(const struct delivery *delivery, enum outcome outcome)
{
	const struct judgement *judgement = &delivery->job.judgement;
	const char *provider = sender_provider(delivery->sender)->id;

	if (delivery->job.attempts == 0)
		return;
	history_add(delivery->device.node, provider, judgement->status, judgement->reason, outcome);
	if (outcome == OUTCOME_SENT || outcome == OUTCOME_GONE ||
	    !log_rate_allows(&failed_rates[outcome]))
		return;
	log_info("notification-failed provider=%s node=%.6s id=%s status=%u reason=%s outcome=%s",
	         provider, delivery->device.node, delivery->queue_id, judgement->status,
	         judgement->reason, outcome_names[outcome]);
}

static void conclude_verdict(struct delivery *delivery, enum outcome outcome, const char *reason)
{
	record(delivery, outcome);
	finish(delivery, outcome, reason);
}

static void postpone_verdict(struct delivery *delivery, uint64_t delay_ms)
{
	uint64_t least_ms = (uint64_t)delivery->job.judgement.retry_after_ms;

	record(delivery, OUTCOME_QUEUED);
	postpone(delivery, delay_ms < least_ms ? least_ms : delay_ms);
}

/* An attempt failed: LEAST_MS, doubled for each attempt before, at most MOST_MS. */
static void back_off(struct delivery *delivery, uint32_t least_ms, uint32_t most_ms)
{
	uint64_t delay_ms = backoff_after(least_ms, most_ms, delivery->attempts);

	delivery->attempted = true;
	delivery->attempts++;
	postpone_verdict(delivery, delay_ms);
}

static void retry(struct delivery *delivery)
{
	back_off(delivery, RETRY_LEAST_MS, RETRY_MOST_MS);
}

/*
 * The provider refuses it as it is: a token, a topic or a payload is at fault. A notification that
 * was answered `queued` stays until it expires, since the fault may be ours and be mended.
 */
static void take_refusal(struct delivery *delivery)
{
	if (!delivery->in_queue) {
		conclude_verdict(delivery, OUTCOME_UNAVAILABLE, delivery->job.judgement.reason);
		return;
	}
	delivery->coalescable = may_coalesce(delivery);
	back_off(delivery, REFUSED_LEAST_MS, REFUSED_MOST_MS);
}

/* This device gets too many: what comes meanwhile coalesces with this one. */
static void throttle(struct delivery *delivery)
{
	delivery->coalescable = may_coalesce(delivery);
	back_off(delivery, THROTTLED_LEAST_MS, THROTTLED_MOST_MS);
}

/* A notification that was answered `queued` isn't given up for trouble that may pass. */
static void fail_removal(struct delivery *delivery, enum reason reason)
{
	if (delivery->in_queue)
		retry(delivery);
	else
		conclude_verdict(delivery, OUTCOME_UNAVAILABLE, reason_names[reason]);
}

/* ---- a dead or suspect token ---- */

/* The second token is of no use: the call goes to the first one, as an alert. */
static void send_as_alert(struct delivery *delivery)
{
	delivery->device.second_token = NULL;
	delivery->priority = PRIORITY_HIGH;
	if (!delivery->in_queue && delivery->caller_gone)
		conclude_verdict(delivery, OUTCOME_UNAVAILABLE,
		                 reason_names[REASON_SECOND_TOKEN_GONE]);
	else
		dispatch(delivery);
}

static void on_second_token_removed(struct device_removal *removal, enum device_result result)
{
	struct delivery *delivery = container_of(removal, struct delivery, removal);

	if (result == DEVICE_ABSENT)
		conclude_verdict(delivery, OUTCOME_GONE, NULL);
	else if (delivery->in_queue)
		postpone(delivery, 0);
	else
		send_as_alert(delivery);
}

static void on_device_removed(struct device_removal *removal, enum device_result result)
{
	struct delivery *delivery = container_of(removal, struct delivery, removal);

	switch (result) {
	case DEVICE_DONE:
		counters_removed(sender_provider(delivery->sender), removal->count);
		log_info("device-gone provider=%s node=%.6s reason=%s",
		         sender_provider(delivery->sender)->id, delivery->device.node,
		         delivery->job.judgement.reason);
		conclude_verdict(delivery, OUTCOME_GONE, NULL);
		return;
	case DEVICE_ABSENT:
		conclude_verdict(delivery, OUTCOME_GONE, NULL);
		return;
	case DEVICE_NEWER:
		fail_removal(delivery, REASON_REGISTERED_SINCE);
		return;
	case DEVICE_ALIAS: /* of a query only */
	case DEVICE_LIMIT: /* of a registration only */
	case DEVICE_UNAVAILABLE:
		fail_removal(delivery, REASON_STORAGE);
		return;
	}
}

static void remove_dead(struct delivery *delivery)
{
	bool second = delivery->job.priority == PRIORITY_VOIP;
	int64_t before_ms = delivery->job.judgement.timestamp_ms;

	/* The provider gave no time: no newer registration than the one that we read. */
	if (before_ms <= 0)
		before_ms = delivery->device.registered_ms;
	enter(delivery, DELIVERY_REMOVING);
	delivery->removal.done = second ? on_second_token_removed : on_device_removed;
	device_remove_dead(&delivery->removal, db_redis(), &delivery->device, second, before_ms);
}

static void on_device_suspected(struct device_suspicion *suspicion, enum device_result result)
{
	struct delivery *delivery = container_of(suspicion, struct delivery, suspicion);

	if (result == DEVICE_DONE && suspicion->days >= SUSPECT_DAYS &&
	    sender_trusted(delivery->sender))
		remove_dead(delivery);
	else
		take_refusal(delivery);
}

static void mark_suspect(struct delivery *delivery)
{
	/* The second token may be good after all: it stays, and this call doesn't wait for it. */
	if (delivery->job.priority == PRIORITY_VOIP) {
		record(delivery, OUTCOME_UNAVAILABLE);
		send_as_alert(delivery);
		return;
	}
	enter(delivery, DELIVERY_REMOVING);
	delivery->suspicion.done = on_device_suspected;
	device_mark_suspect(&delivery->suspicion, db_redis(), &delivery->device);
}

static void stop_removing(struct delivery *delivery)
{
	redis_cancel(&delivery->removal.call);
	redis_cancel(&delivery->suspicion.call);
}

/* ---- sent ---- */

static void on_account_removed(struct device_removal *removal, enum device_result result)
{
	struct delivery *delivery = container_of(removal, struct delivery, removal);

	conclude_verdict(delivery, OUTCOME_SENT, NULL);
}

static void take_success(struct delivery *delivery)
{
	enum environment environment = delivery->job.environment;

	memcpy(delivery->id, delivery->job.judgement.id, sizeof(delivery->id));
	device_record_success(db_redis(), &delivery->device,
	                      environment == ENVIRONMENT_UNKNOWN ? NULL
	                                                         : environment_names[environment]);
	if (!delivery->notification.account_removed) {
		conclude_verdict(delivery, OUTCOME_SENT, NULL);
		return;
	}
	/*
	 * The account has gone from its server: nothing will be published to this node again,
	 * unless the device was registered once more since.
	 */
	enter(delivery, DELIVERY_REMOVING);
	delivery->removal.done = on_account_removed;
	device_remove_if_unchanged(&delivery->removal, db_redis(), &delivery->device);
}

/* ---- the verdict ---- */

static void react(struct delivery *delivery)
{
	const struct job *job = &delivery->job;

	switch (job->judgement.verdict) {
	case VERDICT_SENT:
		take_success(delivery);
		return;
	case VERDICT_GONE:
		remove_dead(delivery);
		return;
	case VERDICT_SUSPECT:
		mark_suspect(delivery);
		return;
	case VERDICT_THROTTLED:
		throttle(delivery);
		return;
	case VERDICT_UNREACHABLE: /* the breaker says when */
		postpone_verdict(delivery, 0);
		return;
	case VERDICT_CREDENTIAL:
		if (delivery->in_queue)
			postpone_verdict(delivery, 0);
		else
			conclude_verdict(delivery, OUTCOME_UNAVAILABLE, job->judgement.reason);
		return;
	case VERDICT_TOO_LARGE:
		/* There was no time to cut it: it is cut when it is sent next. */
		if (delivery->in_queue && job->request.cut < CUT_TEXT) {
			postpone_verdict(delivery, 0);
			return;
		}
		break;
	case VERDICT_TRANSIENT:
	case VERDICT_UNKNOWN:
	case VERDICT_EXPIRED:
		retry(delivery);
		return;
	default:
		break;
	}
	take_refusal(delivery);
}

/* ---- what its caller asks for ---- */

static void begin(struct delivery *delivery)
{
	list_append(&self.deliveries, &delivery->link);
	list_init(&delivery->waiter.followers);
	self.count++;
}

void delivery_start(struct delivery *delivery)
{
	begin(delivery);
	delivery->send_until_ms = delivery->deadline_ms;
	delivery->created_ms = loop_wall_ms();
	uuid_make(delivery->queue_id);
	find_device(delivery);
}

static bool read_entry(struct delivery *delivery, const struct queue_entry *entry)
{
	struct json_reader reader;
	struct json_object item;

	delivery->own = json_loads(entry->item, 0, NULL);
	item = json_object_top(&reader, delivery->own);
	notification_read(&delivery->notification, &item);
	if (entry->count != NOTIFICATION_ABSENT)
		delivery->notification.count = entry->count;
	return json_reader_ok(&reader);
}

void delivery_resume(struct delivery *delivery, const struct queue_entry *entry)
{
	begin(delivery);
	delivery->in_queue = delivery->answered = true;
	mem_copy_word(delivery->queue_id, sizeof(delivery->queue_id), entry->id);
	delivery->priority = entry->priority;
	delivery->created_ms = entry->created_ms;
	delivery->expires_ms = entry->expires_ms;
	delivery->attempts = entry->attempts;
	if (!read_entry(delivery, entry)) {
		log_error("queued-notification-malformed id=%s", delivery->queue_id);
		finish_unavailable(delivery, REASON_MALFORMED);
		return;
	}
	delivery->deadline_ms = loop_now_ms() + queue_lease_ms() / 4;
	delivery->send_until_ms = delivery->deadline_ms;
	start_lease(delivery);
	find_device(delivery);
}

void delivery_conclude(struct delivery *delivery)
{
	delivery->concluding = true;
	if (phases[delivery->phase].conclude != NULL)
		phases[delivery->phase].conclude(delivery);
}

void delivery_abandon(struct delivery *delivery)
{
	delivery->caller_gone = true;
	if (phases[delivery->phase].abandon != NULL && phases[delivery->phase].abandon(delivery))
		finish_unavailable(delivery, REASON_DEADLINE);
}

/* ---- draining, and the module ---- */

void deliveries_watch(void (*queued)(const struct sender *sender, uint64_t delay_ms))
{
	self.queued = queued;
}

/* True while its sender has it, and it may be taken back into the queue. */
static bool with_sender(const struct delivery *delivery)
{
	return delivery->phase == DELIVERY_SENDING || delivery->phase == DELIVERY_LEASED;
}

static void on_drained(struct timer *timer)
{
	list_for_each (link, &self.deliveries) {
		struct delivery *delivery = container_of(link, struct delivery, link);

		if (!with_sender(delivery))
			continue;
		stop_sending(delivery);
		postpone(delivery, 0);
	}
}

void deliveries_drain(void (*idle)(void))
{
	self.drained.expired = on_drained;
	timer_start(&self.drained, self.answer_within_ms);
	list_for_each (link, &self.deliveries) {
		struct delivery *delivery = container_of(link, struct delivery, link);
		bool on_wire = delivery->job.connection != NULL;

		if (with_sender(delivery) && !on_wire && withdraw(delivery))
			postpone(delivery, 0);
	}
	self.idle = idle;
	if (self.count == 0)
		idle();
}

static int start(void *config)
{
	const struct conf *conf = config;

	list_init(&self.deliveries);
	gates_init(&self.gates, GATES_QUIET_MAX);
	self.max = (size_t)conf->daemon.in_flight_max;
	self.answer_within_ms = (uint64_t)conf->daemon.answer_within_ms;
	metrics_add(&count_metric);
	metrics_add(&again_metric);
	return 0;
}

static void stop(void)
{
	struct list_link *link;

	self.idle = NULL;
	timer_stop(&self.drained);
	while ((link = list_first(&self.deliveries)) != NULL) {
		struct delivery *delivery = container_of(link, struct delivery, link);

		phases[delivery->phase].cancel(delivery);
		answer(delivery, OUTCOME_UNAVAILABLE, reason_names[REASON_STOPPING]);
		end(delivery);
	}
	gates_release(&self.gates);
}

const struct daemon_module delivery_module = { "deliveries", start, stop };
