#include "pushd/delivery/delivery.h"

#include <assert.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "pushd/delivery/admission.h"
#include "pushd/delivery/keeper.h"
#include "pushd/delivery/reaction.h"
#include "pushd/provider/environment.h"

#define SEATS_QUIET_MAX 65536

static struct {
	struct list deliveries;
	size_t count, max;
	uint64_t answer_within_ms;
	struct seats seats;
	struct timer drained; /* what is on the wire has had its time */
	void (*idle)(void);   /* set while draining */
} self;

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

size_t deliveries_count(void)
{
	return self.count;
}

size_t deliveries_max(void)
{
	return self.max;
}

struct seats *deliveries_seats(void)
{
	return &self.seats;
}

const struct conf_provider *delivery_provider(const struct delivery *delivery)
{
	return delivery->sender != NULL ? sender_provider(delivery->sender) : NULL;
}

uint64_t delivery_interval_ms(const struct delivery *delivery)
{
	const struct conf_provider *provider = sender_provider(delivery->sender);

	/* What expires sooner can't wait for it. */
	return (uint64_t)(provider->expiry_ms < provider->interval_ms ? 0 : provider->interval_ms);
}

/* ---- the end ---- */

void delivery_answer(struct delivery *delivery, enum outcome outcome, const char *reason)
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

void delivery_end(struct delivery *delivery)
{
	assert(delivery->answered && !delivery->putting && !store_busy(&delivery->call));
	timer_stop(&delivery->lease);
	if (delivery->seat != NULL)
		seat_drop(&self.seats, delivery->seat, loop_now_ms());
	arena_release(&delivery->arena);
	json_decref(delivery->own);
	list_remove(&delivery->link);
	self.count--;
	delivery->ended(delivery);
	if (self.count == 0 && self.idle != NULL)
		self.idle();
}

void delivery_finish(struct delivery *delivery, enum outcome outcome, const char *reason)
{
	delivery_answer(delivery, outcome, reason);
	if (delivery->stored)
		keeper_settle(delivery);
	else
		delivery_end(delivery);
}

/* ---- to the sender ---- */

static void vacate(struct delivery *delivery, bool sent)
{
	if (!delivery->seated)
		return;
	delivery->seated = false;
	seat_vacate(delivery->seat, sent, loop_now_ms(), delivery_interval_ms(delivery));
}

static void on_job_done(struct job *job)
{
	struct delivery *delivery = container_of(job, struct delivery, job);

	timer_stop(&delivery->lease);
	vacate(delivery, job->judgement.verdict == VERDICT_SENT);
	/* The store answers in the order of the calls, so it is asked again after this one. */
	if (!delivery->putting)
		reaction_start(delivery);
	else
		delivery->phase = DELIVERY_STORING;
}

void delivery_submit(struct delivery *delivery)
{
	delivery->job = (struct job){
		.done = on_job_done,
		.notification = &delivery->notification,
		.device = device_for_provider(&delivery->device),
		.priority = delivery->priority,
		.deadline_ms = delivery->deadline_ms,
		.expires_s = delivery->expires_ms / 1000,
		.environment = environment_find(delivery->device.environment),
	};
	memcpy(delivery->job.id, delivery->note_id, sizeof(delivery->job.id));
	if (!sender_submit(delivery->sender, &delivery->job)) {
		keeper_postpone(delivery, DELIVERY_RETRY_MS);
		return;
	}
	delivery->phase = DELIVERY_SENDING;
	if (delivery->seat != NULL)
		delivery->seat->taken = delivery->seated = true;
}

/* How long it has to wait for others of its device. */
static uint64_t seat_delay_ms(const struct delivery *delivery)
{
	uint64_t interval_ms, wait_ms;

	if (delivery->seat == NULL)
		return 0;
	interval_ms = delivery_interval_ms(delivery);
	wait_ms = seat_wait_ms(delivery->seat, loop_now_ms(), interval_ms);
	/* It may be long until a provider answers: no need to ask the store all the time. */
	if (delivery->stored && delivery->seat->taken && wait_ms < DELIVERY_RETRY_MS)
		return DELIVERY_RETRY_MS;
	/* What waits in the slot is older: this one goes there too, or it would overtake. */
	if (wait_ms == 0 && !delivery->stored &&
	    (delivery->query.waiting || delivery->seat->storing != NULL))
		return interval_ms > 0 ? interval_ms : DELIVERY_RETRY_MS;
	return wait_ms;
}

void delivery_dispatch(struct delivery *delivery)
{
	uint64_t delay_ms = seat_delay_ms(delivery);
	enum sender_refusal refusal = sender_refusal(delivery->sender);

	if (refusal == SENDER_CREDENTIAL && !delivery->stored) {
		delivery_finish(delivery, OUTCOME_UNAVAILABLE, "credential");
		return;
	}
	if (delay_ms > 0 || delivery->hurried || daemon_draining()) {
		keeper_postpone(delivery, delay_ms);
		return;
	}
	if (refusal == SENDER_TAKES ||
	    (refusal == SENDER_PACED && delivery->priority == PRIORITY_VOIP))
		delivery_submit(delivery);
	else
		keeper_postpone(delivery, 0);
}

/* ---- the beginning ---- */

static void begin(struct delivery *delivery)
{
	list_append(&self.deliveries, &delivery->link);
	list_init(&delivery->followers);
	self.count++;
}

void delivery_start(struct delivery *delivery)
{
	begin(delivery);
	delivery->created_ms = loop_wall_ms();
	uuid_make(delivery->note_id);
	admission_start(delivery);
}

/* ---- from the store ---- */

/* Soon somebody else may take it from the store: whatever the provider says comes too late. */
static void on_lease_end(struct timer *timer)
{
	struct delivery *delivery = container_of(timer, struct delivery, lease);

	if (delivery->phase != DELIVERY_SENDING)
		return;
	sender_cancel(&delivery->job);
	vacate(delivery, false);
	delivery->tried = true;
	keeper_postpone(delivery, DELIVERY_RETRY_MS);
}

/* Draining, and what is on the wire has had its time. */
static bool drained(void)
{
	return self.idle != NULL && !timer_active(&self.drained);
}

void delivery_lease(struct delivery *delivery)
{
	delivery->lease.expired = on_lease_end;
	timer_start(&delivery->lease, drained() ? 0 : store_lease_ms() * 3 / 4);
}

static bool read_entry(struct delivery *delivery, const struct store_entry *entry)
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

void delivery_resume(struct delivery *delivery, const struct store_entry *entry)
{
	begin(delivery);
	delivery->stored = delivery->answered = true;
	mem_copy_word(delivery->note_id, sizeof(delivery->note_id), entry->id);
	delivery->priority = entry->priority;
	delivery->created_ms = entry->created_ms;
	delivery->expires_ms = entry->expires_ms;
	delivery->attempts = entry->attempts;
	if (!read_entry(delivery, entry)) {
		log_error("stored-notification-malformed id=%s", delivery->note_id);
		delivery_finish(delivery, OUTCOME_UNAVAILABLE, "malformed");
		return;
	}
	delivery->deadline_ms = loop_now_ms() + store_lease_ms() / 4;
	delivery_lease(delivery);
	admission_start(delivery);
}

/* ---- before the end ---- */

/* Takes it back from its sender, if it isn't on the wire. */
static bool withdraw(struct delivery *delivery)
{
	if (!sender_abandon(&delivery->job))
		return false;
	vacate(delivery, false);
	return true;
}

void delivery_conclude(struct delivery *delivery)
{
	delivery->hurried = true;
	if (delivery->phase != DELIVERY_SENDING || delivery->putting || delivery->stored)
		return;
	if (withdraw(delivery))
		keeper_postpone(delivery, delivery->job.attempts > 0 ? DELIVERY_RETRY_MS : 0);
	else
		keeper_secure(delivery);
}

void delivery_abandon(struct delivery *delivery)
{
	delivery->abandoned = true;
	if (delivery->phase == DELIVERY_LOOKING && device_query_busy(&delivery->query))
		device_query_cancel(&delivery->query);
	else if (delivery->phase == DELIVERY_WAITING)
		keeper_leave(delivery);
	else if (delivery->phase != DELIVERY_SENDING || delivery->putting || !withdraw(delivery))
		return;
	delivery_finish(delivery, OUTCOME_UNAVAILABLE, "deadline");
}

static bool on_wire(const struct delivery *delivery)
{
	return delivery->job.connection != NULL;
}

static void on_drained(struct timer *timer)
{
	list_for_each (link, &self.deliveries) {
		struct delivery *delivery = container_of(link, struct delivery, link);

		if (delivery->phase != DELIVERY_SENDING || delivery->putting)
			continue;
		sender_cancel(&delivery->job);
		vacate(delivery, false);
		keeper_postpone(delivery, 0);
	}
}

void deliveries_drain(void (*idle)(void))
{
	self.drained.expired = on_drained;
	timer_start(&self.drained, self.answer_within_ms);
	list_for_each (link, &self.deliveries) {
		struct delivery *delivery = container_of(link, struct delivery, link);

		if (delivery->phase == DELIVERY_SENDING && !on_wire(delivery) && withdraw(delivery))
			keeper_postpone(delivery, 0);
	}
	self.idle = idle;
	if (self.count == 0)
		idle();
}

/* ---- the module ---- */

static int start(void *config)
{
	const struct conf *conf = config;

	list_init(&self.deliveries);
	seats_init(&self.seats, SEATS_QUIET_MAX);
	self.max = (size_t)conf->daemon.in_flight_max;
	self.answer_within_ms = (uint64_t)conf->daemon.answer_within_ms;
	metrics_add(&count_metric);
	return 0;
}

/* Whatever it waits for is forgotten. */
static void cancel(struct delivery *delivery)
{
	device_query_cancel(&delivery->query);
	redis_cancel(&delivery->removal.call);
	redis_cancel(&delivery->suspicion.call);
	store_cancel(&delivery->call);
	if (delivery->phase == DELIVERY_SENDING)
		sender_cancel(&delivery->job);
	if (delivery->phase == DELIVERY_WAITING)
		keeper_leave(delivery);
	vacate(delivery, false);
	delivery->putting = false;
	if (delivery->seat != NULL && delivery->seat->storing == delivery)
		delivery->seat->storing = NULL;
}

static void stop(void)
{
	struct list_link *link;

	self.idle = NULL;
	timer_stop(&self.drained);
	while ((link = list_first(&self.deliveries)) != NULL) {
		struct delivery *delivery = container_of(link, struct delivery, link);

		cancel(delivery);
		keeper_dismiss(delivery, OUTCOME_UNAVAILABLE, "stopping");
		delivery_answer(delivery, OUTCOME_UNAVAILABLE, "stopping");
		delivery_end(delivery);
	}
	seats_release(&self.seats);
}

const struct daemon_module delivery_module = { "deliveries", start, stop };
