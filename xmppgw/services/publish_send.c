#include "xmppgw/services/publish_send.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "xmppgw/backend/api_call.h"
#include "xmppgw/services/publish_read.h"

#define PUBLISH_MS 25000 /* from request to answer: servers give up after 30 s */
#define BATCH_ITEMS 256
#define BATCH_BYTES (1024 * 1024 - 256) /* of items: pushd takes a body of 1 MiB */
#define CALLS_MAX 16                    /* in flight to one push daemon */

/* The part of PUBLISH_MS that is left for the reply's way back to the server. */
#define RESERVE_MS 1000
/* A publish without a push daemon is given up at this age, while a call could still be answered. */
#define UNASSIGNED_MS 10000
/* A publish older than this is not sent any more. */
#define SEND_MS 20000
#define RETRY_MS 200       /* between two attempts to find a push daemon for unassigned publishes */
#define COMPLAINT_MS 60000 /* between two log lines about malformed publishes */

/* One publish that is not answered yet. */
struct publication {
	struct list_link link; /* in a daemon's waiting list, in UNASSIGNED, or in a batch */
	struct iq *iq;         /* NULL: its deadline was over, so it is answered */
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
	struct backend *push;  /* retained */
	unsigned count;        /* notifications */
	size_t bytes;
	uint64_t oldest_ms;
};

static struct list queued;     /* push daemons for which publishes wait */
static struct list unassigned; /* publishes without a push daemon */
static struct list batches;    /* in flight */
static struct task flush;
static struct timer retry;
static uint64_t complained_ms; /* of a malformed publish */

/* What became of a publish: the outcomes of pushd's API from best to worst, and one of ours. */
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

static void answer_publish(struct iq *iq, enum outcome outcome)
{
	outcome_numbers[outcome]++;
	metric_observe(&seconds_metric, (loop_now_ns() - iq->began_ns) / 1000);
	if (outcome < GONE)
		iq_result(iq);
	else
		iq_error(iq, outcome == GONE ? IQ_ITEM_NOT_FOUND : IQ_INTERNAL_SERVER_ERROR, NULL);
}

/* Answers PUBLICATION, unless its deadline did, and frees it. */
static void finish(struct publication *publication, enum outcome outcome)
{
	list_remove(&publication->link);
	if (publication->iq != NULL)
		answer_publish(publication->iq, outcome);
	else
		outcome_numbers[UNAVAILABLE]++;
	free(publication);
}

/* Answers a publish that no push daemon needs to see; WHY (may be NULL) is told, too. */
static void refuse(struct iq *iq, enum iq_condition condition, const char *why)
{
	outcome_numbers[REFUSED]++;
	iq_error(iq, condition, why);
}

/*
 * A server's publish that is odd. It may be of a registration that is good, and "wait" is the only
 * type of error at which every server keeps that.
 */
static void refuse_malformed(struct iq *iq, const char *why)
{
	if (loop_once_in(COMPLAINT_MS, &complained_ms))
		log_warn("publish-malformed component=%s from=%s reason=\"%s\"", iq->stream->domain,
		         iq->to, why);
	refuse(iq, IQ_INTERNAL_SERVER_ERROR, why);
}

static uint64_t age_ms(const struct publication *publication, uint64_t now_ms)
{
	return now_ms - publication->began_ms;
}

/* ---- waiting for a call ---- */

static void assign(struct publication *publication)
{
	struct backend *push = backend_for(publication->node);

	if (push == NULL) {
		list_append(&unassigned, &publication->link);
		if (!timer_active(&retry))
			timer_start(&retry, RETRY_MS);
		return;
	}
	backend_retain(push);
	list_append(&push->waiting, &publication->link);
	if (!list_linked(&push->queued))
		list_append(&queued, &push->queued);
	task_start(&flush);
}

/* Takes the first publish that waits for PUSH; NULL: none. The caller has retained PUSH. */
static struct publication *take_waiting(struct backend *push)
{
	struct list_link *link = list_take(&push->waiting);

	if (link == NULL)
		return NULL;
	backend_release(push);
	return container_of(link, struct publication, link);
}

/* PUSH isn't available any more: assigns all that waits for it to other daemons. */
static void reassign_waiting(struct backend *push)
{
	struct publication *publication;

	while ((publication = take_waiting(push)) != NULL)
		assign(publication);
}

static void reassign_unassigned(void)
{
	uint64_t now_ms = loop_now_ms();
	struct list waiting;
	struct list_link *link;

	list_init(&waiting);
	while ((link = list_take(&unassigned)) != NULL)
		list_append(&waiting, link);
	while ((link = list_take(&waiting)) != NULL) {
		struct publication *publication = container_of(link, struct publication, link);

		if (publication->iq == NULL || age_ms(publication, now_ms) > UNASSIGNED_MS)
			finish(publication, UNAVAILABLE);
		else
			assign(publication);
	}
}

static void on_retry(struct timer *timer)
{
	reassign_unassigned();
}

static void on_change(void)
{
	reassign_unassigned();
	task_start(&flush);
}

static void enqueue(struct iq *iq, const struct publish *publish)
{
	size_t node_size = strlen(publish->node) + 1, len = buf_len(&publish->json);
	struct publication *publication = mem_alloc(1, sizeof(*publication) + node_size + len);

	memcpy(publication->node, publish->node, node_size);
	publication->json = memcpy(publication->node + node_size, buf_data(&publish->json), len);
	publication->len = len;
	publication->count = publish->count;
	publication->began_ms = iq->began_ns / 1000000;
	iq_hold(iq, &publication->iq, sizeof(*publication) + node_size + len);
	assign(publication);
}

static void publish(struct iq *iq, const struct xml *pubsub)
{
	struct publish read = { 0 };

	switch (publish_read(pubsub, iq->to, iq->stream->domain, &read)) {
	case PUBLISH_READ:
		enqueue(iq, &read);
		break;
	case PUBLISH_UNKNOWN:
		refuse(iq, IQ_ITEM_NOT_FOUND, NULL);
		break;
	case PUBLISH_MALFORMED:
		refuse_malformed(iq, read.why);
		break;
	}
	buf_release(&read.json);
}

const struct iq_service publish_service = {
	.kind = "publish",
	.type = "set",
	.ns = PUBSUB_NS,
	.name = "pubsub",
	.roles = ROLE_PUSH,
	.deadline_ms = PUBLISH_MS,
	.handle = publish,
};

/* ---- calls ---- */

static void free_batch(struct batch *batch)
{
	struct list_link *link;

	while ((link = list_first(&batch->items)) != NULL)
		finish(container_of(link, struct publication, link), UNAVAILABLE);
	api_call_cancel(&batch->call);
	batch->push->calls--;
	backend_release(batch->push);
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

/* OUTCOMES has one for each notification, in order. A publish gets the worst of its own. */
static void finish_all(struct batch *batch, const json_t *outcomes)
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
		finish(publication, worst);
	}
}

/* The call was certainly not carried out, so each publish may go to another push daemon. */
static void reassign_all(struct batch *batch)
{
	struct list_link *link;

	while ((link = list_take(&batch->items)) != NULL)
		assign(container_of(link, struct publication, link));
}

static void on_called(struct api_call *call, unsigned status, const json_t *body)
{
	struct batch *batch = container_of(call, struct batch, call);
	const json_t *outcomes = json_object_get(body, "outcomes");

	if (status == API_CALL_UNREACHED)
		reassign_all(batch);
	else if (status == 200 && json_array_size(outcomes) == batch->count)
		finish_all(batch, outcomes);
	else if (status != API_CALL_UNANSWERED && status != 401 &&
	         status < 500) /* those are logged already */
		log_error("publish-refused backend=%s status=%u reason=\"%s\"", batch->push->id,
		          status, api_call_message(body, "malformed answer"));
	free_batch(batch);
	task_start(&flush);
}

/* True if PUBLICATION may go with BATCH. An empty batch takes even the largest. */
static bool fits(const struct batch *batch, const struct publication *publication)
{
	return batch->count == 0 || (batch->count + publication->count <= BATCH_ITEMS &&
	                             batch->bytes + publication->len < BATCH_BYTES);
}

/* Moves as many waiting publishes to BATCH as one call takes; answers those that are too old. */
static void fill(struct batch *batch, uint64_t now_ms)
{
	struct list_link *link;

	while ((link = list_first(&batch->push->waiting)) != NULL) {
		struct publication *publication = container_of(link, struct publication, link);

		if (!fits(batch, publication))
			return;
		take_waiting(batch->push);
		if (publication->iq == NULL || age_ms(publication, now_ms) > SEND_MS) {
			finish(publication, UNAVAILABLE);
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
	api_call_send(&batch->call, batch->push,
	              &(struct api_request){ .method = "POST",
	                                     .path = "/v1/notifications",
	                                     .text = &body,
	                                     .timeout_ms = left_ms });
}

static void send_next(struct backend *push)
{
	struct batch *batch = mem_alloc(1, sizeof(*batch));
	uint64_t now_ms = loop_now_ms();

	backend_retain(push);
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

		backend_retain(push);
		if (!backend_available(push))
			reassign_waiting(push);
		while (!list_empty(&push->waiting) && push->calls < CALLS_MAX)
			send_next(push);
		if (list_empty(&push->waiting))
			list_remove(&push->queued);
		backend_release(push);
	}
}

static int start(void *config)
{
	list_init(&queued);
	list_init(&unassigned);
	list_init(&batches);
	flush.run = on_flush;
	retry.expired = on_retry;
	backend_on_change(on_change);
	metrics_add(&outcome_metric);
	metrics_add(&seconds_metric);
	return 0;
}

static void free_all(struct list *publications)
{
	struct list_link *link;

	while ((link = list_first(publications)) != NULL)
		finish(container_of(link, struct publication, link), UNAVAILABLE);
}

static void stop(void)
{
	struct list_link *link;

	task_stop(&flush);
	timer_stop(&retry);
	backend_on_change(NULL);
	while ((link = list_first(&batches)) != NULL)
		free_batch(container_of(link, struct batch, link));
	while ((link = list_take(&queued)) != NULL) {
		struct backend *push = container_of(link, struct backend, queued);
		struct publication *publication;

		backend_retain(push);
		while ((publication = take_waiting(push)) != NULL)
			finish(publication, UNAVAILABLE);
		backend_release(push);
	}
	free_all(&unassigned);
}

const struct daemon_module publish_send_module = { "publish", start, stop };
