#include "common/redis/redis_calls.h"

#include <stdlib.h>

#include "common/base/mem.h"

static void forget(struct redis_pending *pending)
{
	if (pending->calls != NULL) {
		pending->calls->count--;
		pending->calls->bytes -= pending->len;
	}
	if (pending->call != NULL)
		pending->call->pending = NULL;
	list_remove(&pending->link);
	list_remove(&pending->in_unsent);
	free(pending->command);
	free(pending);
}

static void finish_first(struct list *list)
{
	redis_calls_finish(container_of(list_first(list), struct redis_pending, link), NULL);
}

/* One call at a time, for its callback may do anything; the next has its own expiry at once. */
static void on_deadline(struct timer *timer)
{
	struct redis_calls *calls = container_of(timer, struct redis_calls, deadline);
	struct list_link *link = list_first(&calls->all);
	const struct redis_pending *first;
	uint64_t now_ms = loop_now_ms();

	if (link == NULL)
		return;
	first = container_of(link, struct redis_pending, link);
	if (first->deadline_ms > now_ms) {
		timer_start(timer, first->deadline_ms - now_ms);
		return;
	}
	timer_start(timer, 0);
	if (first->sent)
		calls->overdue(calls);
	else
		finish_first(&calls->all);
}

static void on_refuse(struct task *task)
{
	struct redis_calls *calls = container_of(task, struct redis_calls, refuse);

	if (list_empty(&calls->refused))
		return;
	task_start(task);
	finish_first(&calls->refused);
}

void redis_calls_init(struct redis_calls *calls)
{
	calls->deadline.expired = on_deadline;
	calls->refuse.run = on_refuse;
	list_init(&calls->all);
	list_init(&calls->unsent);
	list_init(&calls->refused);
}

static void disown(struct redis_pending *pending)
{
	redis_calls_cancel(pending);
	list_remove(&pending->link);
	pending->calls = NULL;
}

void redis_calls_release(struct redis_calls *calls)
{
	timer_stop(&calls->deadline);
	task_stop(&calls->refuse);
	list_for_each (link, &calls->refused)
		forget(container_of(link, struct redis_pending, link));
	list_for_each (link, &calls->all) {
		struct redis_pending *pending = container_of(link, struct redis_pending, link);

		if (pending->sent)
			disown(pending);
		else
			forget(pending);
	}
}

struct redis_pending *redis_calls_add(struct redis_calls *calls, struct redis_call *call,
                                      char *command, size_t len)
{
	struct redis_pending *pending = mem_alloc(1, sizeof(*pending));

	call->pending = pending;
	pending->calls = calls;
	pending->call = call;
	pending->command = command;
	pending->len = len;
	calls->count++;
	calls->bytes += len;
	if (calls->count > REDIS_CALLS_MAX || calls->bytes > REDIS_CALLS_MAX_BYTES) {
		list_append(&calls->refused, &pending->link);
		task_start(&calls->refuse);
		return pending;
	}
	pending->deadline_ms = loop_now_ms() + calls->timeout_ms;
	list_append(&calls->all, &pending->link);
	list_append(&calls->unsent, &pending->in_unsent);
	if (!timer_active(&calls->deadline))
		timer_start(&calls->deadline, calls->timeout_ms);
	return pending;
}

bool redis_calls_waits(const struct redis_pending *pending)
{
	return list_linked(&pending->in_unsent);
}

void redis_calls_sent(struct redis_pending *pending)
{
	pending->sent = true;
	list_remove(&pending->in_unsent);
	if (pending->script != NULL)
		return;
	free(pending->command);
	pending->command = NULL;
}

void redis_calls_finish(struct redis_pending *pending, const struct redisReply *reply)
{
	struct redis_call *call = pending->call;

	forget(pending);
	if (call != NULL)
		call->done(call, reply);
}

void redis_calls_cancel(struct redis_pending *pending)
{
	if (pending->call != NULL)
		pending->call->pending = NULL;
	pending->call = NULL;
	if (!pending->sent)
		forget(pending);
}
