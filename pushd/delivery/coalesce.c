#include "pushd/delivery/coalesce.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

bool coalesce_bypasses(const struct notification *notification, enum priority priority)
{
	return priority == PRIORITY_VOIP || notification->account_removed;
}

/* ---- the table ---- */

void gates_init(struct gates *gates, size_t quiet_max)
{
	*gates = (struct gates){ .quiet_max = quiet_max };
	list_init(&gates->quiet);
}

static void forget(struct gates *gates, struct gate *gate)
{
	list_remove(&gate->link);
	gates->quiet_count--;
	map_remove(&gates->by_node, gate->node, gate->node_len);
	free(gate);
}

void gates_release(struct gates *gates)
{
	list_for_each (link, &gates->quiet)
		forget(gates, container_of(link, struct gate, link));
	assert(gates->by_node.count == 0);
	map_release(&gates->by_node);
}

static struct gate *make_gate(struct gates *gates, const char *node, size_t len)
{
	struct gate *gate = mem_alloc(1, sizeof(*gate) + len);

	gate->node_len = len;
	memcpy(gate->node, node, len);
	map_put(&gates->by_node, gate->node, len, gate);
	return gate;
}

struct gate *gate_hold(struct gates *gates, const char *node)
{
	size_t len = strlen(node);
	struct gate *gate = map_get(&gates->by_node, node, len);

	if (gate == NULL) {
		gate = make_gate(gates, node, len);
	} else if (gate->holders == 0) {
		list_remove(&gate->link);
		gates->quiet_count--;
	}
	gate->holders++;
	return gate;
}

/* Two at a time, so that the table shrinks without a pause for it. */
static void forget_old(struct gates *gates, uint64_t now_ms)
{
	for (int i = 0; i < 2 && gates->quiet_count > 0; i++) {
		struct gate *oldest = container_of(list_first(&gates->quiet), struct gate, link);

		if (oldest->free_ms <= now_ms || gates->quiet_count > gates->quiet_max)
			forget(gates, oldest);
	}
}

void gate_drop(struct gates *gates, struct gate *gate, uint64_t now_ms)
{
	assert(gate->holders > 0);
	gate->holders--;
	if (gate->holders > 0)
		return;
	assert(!gate->taken && gate->enqueueing == NULL && gate->next == NULL);
	list_append(&gates->quiet, &gate->link);
	gates->quiet_count++;
	if (gate->free_ms <= now_ms)
		forget(gates, gate);
	forget_old(gates, now_ms);
}

/* ---- on its way ---- */

uint64_t gate_wait_ms(const struct gate *gate, uint64_t now_ms, uint64_t interval_ms)
{
	if (gate->taken)
		return interval_ms;
	return gate->free_ms > now_ms ? gate->free_ms - now_ms : 0;
}

void gate_enter(struct gate *gate)
{
	assert(!gate->taken);
	gate->taken = true;
}

void gate_leave(struct gate *gate, bool sent, uint64_t now_ms, uint64_t interval_ms)
{
	assert(gate->taken);
	gate->taken = false;
	if (sent)
		gate->free_ms = now_ms + interval_ms;
}

/* ---- into the queue ---- */

static void follow(struct waiter *merged, struct waiter *survivor)
{
	struct list_link *link;

	while ((link = list_take(&merged->followers)) != NULL)
		list_append(&survivor->followers, link);
	list_append(&survivor->followers, &merged->follower);
}

/* The one of the two that stands for both. */
static struct waiter *merge(struct waiter *older, struct waiter *newer)
{
	if (queue_replaces(older->class, newer->class)) {
		follow(older, newer);
		return newer;
	}
	if (*newer->count != NOTIFICATION_ABSENT)
		*older->count = *newer->count;
	follow(newer, older);
	return older;
}

bool gate_enqueue(struct gate *gate, struct waiter *waiter)
{
	struct waiter *next = gate->next;

	if (gate->enqueueing == NULL) {
		gate->enqueueing = waiter;
		return true;
	}
	/* One that was on its way, and wasn't sent, comes after newer ones. */
	if (next == NULL)
		gate->next = waiter;
	else if (waiter->created_ms < next->created_ms)
		gate->next = merge(waiter, next);
	else
		gate->next = merge(next, waiter);
	return false;
}

struct waiter *gate_enqueued(struct gate *gate)
{
	gate->enqueueing = gate->next;
	gate->next = NULL;
	return gate->enqueueing;
}

void gate_give_up(struct gate *gate, struct waiter *waiter)
{
	list_remove(&waiter->follower);
	if (gate->next == waiter)
		gate->next = NULL;
}
