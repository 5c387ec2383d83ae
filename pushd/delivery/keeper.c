#include "pushd/delivery/keeper.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "pushd/delivery/backlog.h"
#include "pushd/delivery/merge.h"
#include "pushd/delivery/reaction.h"

static enum store_waiting class_of(const struct delivery *delivery)
{
	return merge_class(&delivery->notification, delivery->priority);
}

/* ---- those that wait for one that is being stored ---- */

static void follow(struct delivery *older, struct delivery *newer)
{
	struct list_link *link;

	while ((link = list_take(&older->followers)) != NULL)
		list_append(&newer->followers, link);
	list_append(&newer->followers, &older->in_followers);
}

/* DELIVERY is the newest of its device. */
static void wait_in_line(struct seat *seat, struct delivery *delivery)
{
	struct delivery *next = seat->next;

	delivery->phase = DELIVERY_WAITING;
	if (next == NULL) {
		seat->next = delivery;
	} else if (merge_replaces(class_of(next), class_of(delivery))) {
		follow(next, delivery);
		seat->next = delivery;
	} else {
		if (delivery->notification.count != NOTIFICATION_ABSENT)
			next->notification.count = delivery->notification.count;
		follow(delivery, next);
	}
}

void keeper_dismiss(struct delivery *delivery, enum outcome outcome, const char *reason)
{
	struct list_link *link;

	if (outcome <= OUTCOME_MERGED)
		outcome = OUTCOME_MERGED;
	while ((link = list_take(&delivery->followers)) != NULL) {
		struct delivery *older = container_of(link, struct delivery, in_followers);

		delivery_answer(older, outcome, reason);
		delivery_end(older);
	}
}

void keeper_leave(struct delivery *delivery)
{
	list_remove(&delivery->in_followers);
	if (delivery->seat->next != delivery)
		return;
	delivery->seat->next = NULL;
	keeper_dismiss(delivery, OUTCOME_UNAVAILABLE, "deadline");
}

/* ---- to the store ---- */

static void put(struct delivery *delivery, const struct store_place *place)
{
	char *item = json_dumps(delivery->item, JSON_COMPACT);
	struct store_entry entry = {
		.id = delivery->note_id,
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

	store_put(&delivery->call, &entry, place);
	free(item);
}

static enum outcome outcome_of(enum store_result result)
{
	if (result == STORE_DONE)
		return OUTCOME_QUEUED;
	return result == STORE_MERGED ? OUTCOME_MERGED : OUTCOME_UNAVAILABLE;
}

static const char *reason_of(enum store_result result)
{
	if (result == STORE_DONE || result == STORE_MERGED)
		return NULL;
	return result == STORE_FULL ? "full" : "storage";
}

static void store_now(struct delivery *delivery);

/* DELIVERY isn't being stored any more: the next one may. */
static void pass_line_on(struct delivery *delivery)
{
	struct seat *seat = delivery->seat;
	struct delivery *next;

	if (seat == NULL || seat->storing != delivery)
		return;
	seat->storing = NULL;
	next = seat->next;
	seat->next = NULL;
	if (next != NULL)
		store_now(next);
}

static void on_put(struct store_call *call, enum store_result result)
{
	struct delivery *delivery = container_of(call, struct delivery, call);
	enum outcome outcome = outcome_of(result);

	if (result == STORE_DONE)
		backlog_expect(delivery->sender, delivery->delay_ms);
	pass_line_on(delivery);
	keeper_dismiss(delivery, outcome, reason_of(result));
	delivery_answer(delivery, outcome, reason_of(result));
	delivery_end(delivery);
}

static void store_now(struct delivery *delivery)
{
	struct store_place place = {
		.delay_ms = delivery->delay_ms,
		.slot = delivery->slotted,
	};

	if (delivery->slotted)
		place.decisions = merge_put_decisions(class_of(delivery));
	if (delivery->seat != NULL)
		delivery->seat->storing = delivery;
	delivery->phase = DELIVERY_STORING;
	delivery->call.done = on_put;
	put(delivery, &place);
}

/* ---- back to the store, and out of it ---- */

static void on_left(struct store_call *call, enum store_result result)
{
	struct delivery *delivery = container_of(call, struct delivery, call);

	if (delivery->outcome == OUTCOME_QUEUED)
		backlog_expect(delivery->sender, delivery->delay_ms);
	delivery_end(delivery);
}

static void give_back(struct delivery *delivery)
{
	struct store_place place = {
		.delay_ms = delivery->delay_ms,
		.slot = delivery->slotted,
		.untried = !delivery->tried,
	};

	if (delivery->slotted)
		place.decisions = merge_return_decisions(class_of(delivery));
	/* Nothing is promised of one that was stored only perhaps: where Redis didn't say so. */
	if (delivery->abandoned)
		delivery_answer(delivery, OUTCOME_UNAVAILABLE, "storage");
	else
		delivery_answer(delivery, OUTCOME_QUEUED, NULL);
	delivery->phase = DELIVERY_LEAVING;
	delivery->call.done = on_left;
	store_return(&delivery->call, delivery->note_id, &place);
}

void keeper_settle(struct delivery *delivery)
{
	delivery->phase = DELIVERY_LEAVING;
	delivery->call.done = on_left;
	store_settle(&delivery->call, delivery->note_id);
}

void keeper_postpone(struct delivery *delivery, uint64_t delay_ms)
{
	struct seat *seat = delivery->seat;

	delivery->delay_ms = delay_ms;
	if (loop_wall_ms() + (int64_t)delay_ms >= delivery->expires_ms)
		delivery_finish(delivery, OUTCOME_UNAVAILABLE, "expired");
	else if (delivery->stored)
		give_back(delivery);
	else if (delivery->abandoned)
		delivery_finish(delivery, OUTCOME_UNAVAILABLE, "deadline");
	else if (seat != NULL && seat->storing != NULL)
		wait_in_line(seat, delivery);
	else
		store_now(delivery);
}

/* ---- stored while it is on the wire ---- */

static void on_secured(struct store_call *call, enum store_result result)
{
	struct delivery *delivery = container_of(call, struct delivery, call);

	delivery->putting = false;
	/* Where Redis didn't answer it may be there all the same. */
	delivery->stored = result == STORE_DONE || result == STORE_AWAY;
	delivery->abandoned = delivery->abandoned || result != STORE_DONE;
	if (delivery->phase != DELIVERY_SENDING) {
		reaction_start(delivery);
		return;
	}
	if (delivery->stored)
		delivery_lease(delivery);
	delivery_answer(delivery, outcome_of(result), reason_of(result));
}

void keeper_secure(struct delivery *delivery)
{
	struct store_place place = { .leased = true };

	delivery->putting = true;
	delivery->call.done = on_secured;
	put(delivery, &place);
}
