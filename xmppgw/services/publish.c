#include "xmppgw/services/publish.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "xmppgw/backend/api_call.h"

#define BATCH_ITEMS 256
#define BATCH_BYTES (1024 * 1024 - 256) /* of items: pushd takes a body of 1 MiB */
#define CALLS_MAX 16                    /* in flight to one push daemon */

/* Of the time that the server waits, this much is kept for the answer's own way back. */
#define RESERVE_MS 1000
/* A publish finds no push daemon for so long at most, so that enough is left for the call. */
#define HOLD_MS 10000
/* An older one isn't sent any more. */
#define SEND_MS 20000
#define AGAIN_MS 200 /* how often a push daemon is looked for */

/* One publish that is not answered yet. */
struct publication {
	struct list_link link; /* in a daemon's waiting list, in HOMELESS, or in a batch */
	struct iq *iq;         /* NULL: it was too late */
	uint64_t began_ms;
	unsigned count; /* notifications in json */
	size_t len;     /* of json */
	const char *json;
	char node[]; /* and json behind it */
};

/* One call with the notifications of some publishes. */
struct batch {
	struct api_call call;
	struct list_link link; /* in BATCHES */
	struct list items;     /* struct publication */
	struct backend *push;  /* used */
	unsigned count;        /* notifications */
	size_t bytes;
	uint64_t oldest_ms;
};

static struct list queued;   /* push daemons for which publishes wait */
static struct list homeless; /* publishes without a push daemon */
static struct list batches;  /* in flight */
static struct task flush;
static struct timer again;

/*
 * What became of a publish: its name in pushd's answer, and what the server is told (RESULT: all
 * is well).
 */
enum outcome { SENT, QUEUED, MERGED, GONE, UNAVAILABLE, REFUSED, OUTCOMES };
static const char *const outcome_names[OUTCOMES] = { "sent", "queued",      "merged",
	                                             "gone", "unavailable", "refused" };
static int64_t outcome_numbers[OUTCOMES];
static struct metric outcome_metric = {
	.name = "outrigger_xmppgw_publishes_total",
	.help = "Publishes that were answered; refused: without asking a push daemon.",
	.kind = METRIC_COUNTER,
	.label = "outcome",
	.values = outcome_names,
	.series = OUTCOMES,
	.numbers = outcome_numbers,
};
static int64_t seconds[METRIC_HISTOGRAM_NUMBERS];
static struct metric seconds_metric = {
	.name = "outrigger_xmppgw_publish_seconds",
	.help = "From a publish to its answer.",
	.kind = METRIC_HISTOGRAM,
	.numbers = seconds,
};

/* ---- the end of a publish ---- */

static void tell(struct iq *iq, enum outcome outcome)
{
	outcome_numbers[outcome]++;
	metric_observe(&seconds_metric, (loop_now_ns() - iq->began_ns) / 1000);
	if (outcome < GONE)
		iq_result(iq);
	else
		iq_error(iq, outcome == GONE ? IQ_ITEM_NOT_FOUND : IQ_INTERNAL_SERVER_ERROR, NULL);
}

/* Answers, if it isn't too late, and frees PUBLICATION. */
static void settle(struct publication *publication, enum outcome outcome)
{
	list_remove(&publication->link);
	if (publication->iq != NULL)
		tell(publication->iq, outcome);
	else
		outcome_numbers[UNAVAILABLE]++;
	free(publication);
}

void publish_refuse(struct iq *iq, enum iq_condition error)
{
	outcome_numbers[REFUSED]++;
	iq_error(iq, error, NULL);
}

static uint64_t age_ms(const struct publication *publication, uint64_t now_ms)
{
	return now_ms - publication->began_ms;
}

/* ---- waiting for a call ---- */

static void place(struct publication *publication)
{
	struct backend *push = backend_for(publication->node);

	if (push == NULL) {
		list_append(&homeless, &publication->link);
		if (!timer_active(&again))
			timer_start(&again, AGAIN_MS);
		return;
	}
	backend_use(push);
	list_append(&push->waiting, &publication->link);
	if (!list_linked(&push->queued))
		list_append(&queued, &push->queued);
	task_start(&flush);
}

/*
 * Takes the first publish that waits for PUSH, which some other user must keep in place; NULL:
 * none.
 */
static struct publication *take_waiting(struct backend *push)
{
	struct list_link *link = list_take(&push->waiting);

	if (link == NULL)
		return NULL;
	backend_drop(push);
	return container_of(link, struct publication, link);
}

/* What waited for PUSH, which isn't available any more, looks for another one. */
static void move_all(struct backend *push)
{
	struct publication *publication;

	while ((publication = take_waiting(push)) != NULL)
		place(publication);
}

static void look_for_homes(void)
{
	uint64_t now_ms = loop_now_ms();
	struct list waiting;
	struct list_link *link;

	list_init(&waiting);
	while ((link = list_take(&homeless)) != NULL)
		list_append(&waiting, link);
	while ((link = list_take(&waiting)) != NULL) {
		struct publication *publication = container_of(link, struct publication, link);

		if (publication->iq == NULL || age_ms(publication, now_ms) > HOLD_MS)
			settle(publication, UNAVAILABLE);
		else
			place(publication);
	}
}

static void on_again(struct timer *timer)
{
	look_for_homes();
}

static void on_change(void)
{
	look_for_homes();
	task_start(&flush);
}

void publish_queue(struct iq *iq, const struct push *push)
{
	size_t node_size = strlen(push->node) + 1, len = buf_len(&push->json);
	struct publication *publication = mem_alloc(1, sizeof *publication + node_size + len);

	memcpy(publication->node, push->node, node_size);
	publication->json = memcpy(publication->node + node_size, buf_data(&push->json), len);
	publication->len = len;
	publication->count = push->count;
	publication->began_ms = iq->began_ns / 1000000;
	iq_hold(iq, &publication->iq);
	iq_charge(iq, sizeof *publication + node_size + len);
	place(publication);
}

/* ---- calls ---- */

static void free_batch(struct batch *batch)
{
	struct list_link *link;

	while ((link = list_first(&batch->items)) != NULL)
		settle(container_of(link, struct publication, link), UNAVAILABLE);
	api_call_cancel(&batch->call);
	batch->push->calls--;
	backend_drop(batch->push);
	list_remove(&batch->link);
	free(batch);
}

static enum outcome outcome_by_name(const char *name)
{
	for (unsigned i = 0; name != NULL && i < UNAVAILABLE; i++)
		if (strcmp(outcome_names[i], name) == 0)
			return i;
	return UNAVAILABLE;
}

/* The outcomes are in the notifications' order; that of a publish is the worst of its own. */
static void settle_all(struct batch *batch, const json_t *outcomes)
{
	size_t next = 0;

	list_for_each (link, &batch->items) {
		struct publication *publication = container_of(link, struct publication, link);
		enum outcome worst = SENT;

		for (unsigned i = 0; i < publication->count; i++) {
			const json_t *told = json_array_get(outcomes, next++);
			enum outcome outcome = outcome_by_name(
			        json_string_value(json_object_get(told, "outcome")));

			if (outcome > worst)
				worst = outcome;
		}
		settle(publication, worst);
	}
}

/* The call was certainly not carried out: each publish looks for another push daemon. */
static void place_all(struct batch *batch)
{
	struct list_link *link;

	while ((link = list_take(&batch->items)) != NULL)
		place(container_of(link, struct publication, link));
}

static void on_called(struct api_call *call, unsigned status, const json_t *body)
{
	struct batch *batch = container_of(call, struct batch, call);
	const json_t *outcomes = json_object_get(body, "outcomes");

	if (status == API_CALL_UNREACHED)
		place_all(batch);
	else if (status == 200 && json_array_size(outcomes) == batch->count)
		settle_all(batch, outcomes);
	else if (status != API_CALL_UNANSWERED && status != 401 && status < 500) /* told already */
		log_error("publish-refused backend=%s status=%u reason=\"%s\"", batch->push->id,
		          status, api_call_message(body, "malformed answer"));
	free_batch(batch);
	task_start(&flush);
}

/* Whether PUBLICATION may go with BATCH; an empty one takes anything that pushd does. */
static bool fits(const struct batch *batch, const struct publication *publication)
{
	return batch->count == 0 || (batch->count + publication->count <= BATCH_ITEMS &&
	                             batch->bytes + publication->len < BATCH_BYTES);
}

/*
 * Moves as many publishes as one call takes from PUSH's list to BATCH; those that are too old are
 * answered.
 */
static void fill(struct batch *batch, uint64_t now_ms)
{
	struct list_link *link;

	while ((link = list_first(&batch->push->waiting)) != NULL) {
		struct publication *publication = container_of(link, struct publication, link);

		if (!fits(batch, publication))
			return;
		take_waiting(batch->push);
		if (publication->iq == NULL || age_ms(publication, now_ms) > SEND_MS) {
			settle(publication, UNAVAILABLE);
			continue;
		}
		if (batch->count == 0 || publication->began_ms < batch->oldest_ms)
			batch->oldest_ms = publication->began_ms;
		list_append(&batch->items, &publication->link);
		batch->count += publication->count;
		batch->bytes += publication->len + 1;
	}
}

static void send_batch(struct batch *batch, uint64_t now_ms)
{
	uint32_t left_ms = (uint32_t)(PUBLISH_MS - (now_ms - batch->oldest_ms)) - RESERVE_MS;
	struct buf body = { 0 };
	bool first = true;

	buf_printf(&body, "{\"deadline_ms\":%u,\"notifications\":[", left_ms - RESERVE_MS);
	list_for_each (link, &batch->items) {
		struct publication *publication = container_of(link, struct publication, link);

		buf_append(&body, ",", first ? 0 : 1);
		buf_append(&body, publication->json, publication->len);
		first = false;
	}
	buf_text(&body, "]}");
	batch->call.done = on_called;
	api_call_post(&batch->call, batch->push, "/v1/notifications", &body, left_ms);
}

static void send_next(struct backend *push)
{
	struct batch *batch = mem_alloc(1, sizeof *batch);
	uint64_t now_ms = loop_now_ms();

	backend_use(push);
	push->calls++;
	batch->push = push;
	list_init(&batch->items);
	list_append(&batches, &batch->link);
	fill(batch, now_ms);
	if (batch->count > 0)
		send_batch(batch, now_ms);
	else
		free_batch(batch);
}

static void on_flush(struct task *task)
{
	list_for_each (link, &queued) {
		struct backend *push = container_of(link, struct backend, queued);

		backend_use(push);
		if (!backend_available(push))
			move_all(push);
		while (!list_empty(&push->waiting) && push->calls < CALLS_MAX)
			send_next(push);
		if (list_empty(&push->waiting))
			list_remove(&push->queued);
		backend_drop(push);
	}
}

static int start(void *config)
{
	list_init(&queued);
	list_init(&homeless);
	list_init(&batches);
	flush.run = on_flush;
	again.expired = on_again;
	backend_on_change(on_change);
	metrics_add(&outcome_metric);
	metrics_add(&seconds_metric);
	return 0;
}

static void free_all(struct list *publications)
{
	struct list_link *link;

	while ((link = list_first(publications)) != NULL)
		settle(container_of(link, struct publication, link), UNAVAILABLE);
}

static void stop(void)
{
	struct list_link *link;

	task_stop(&flush);
	timer_stop(&again);
	backend_on_change(NULL);
	while ((link = list_first(&batches)) != NULL)
		free_batch(container_of(link, struct batch, link));
	while ((link = list_take(&queued)) != NULL) {
		struct backend *push = container_of(link, struct backend, queued);
		struct publication *publication;

		backend_use(push);
		while ((publication = take_waiting(push)) != NULL)
			settle(publication, UNAVAILABLE);
		backend_drop(push);
	}
	free_all(&homeless);
}

const struct daemon_module publish_module = { "publish", start, stop };
