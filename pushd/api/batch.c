#include "pushd/api/batch.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "pushd/delivery/delivery.h"

#define DEADLINE_MAX_MS 60000
#define STORING_MS 500 /* that storing what is unsettled may take, of the caller's deadline */

/* One element; a delivery that is on the wire or stored outlives the batch. */
struct element {
	struct delivery delivery;
	struct batch *batch; /* NULL: answered without it */
	size_t index;
};

struct batch {
	struct http_request *request;
	struct timer hurry; /* what is unsettled by then is stored */
	struct timer deadline;
	uint64_t hurry_ms; /* by loop_now_ms() */
	size_t count, unsettled;
	json_t **outcomes;         /* NULL: not settled */
	struct element **elements; /* NULL: settled */
	bool busy;                 /* with its elements: it is answered after that */
};

static uint64_t answer_within_ms;

static int64_t outcome_numbers[OUTCOME_COUNT];
static struct metric outcomes_metric = {
	.name = "outrigger_pushd_notifications_total",
	.help = "Notifications by outcome.",
	.kind = METRIC_COUNTER,
	.label = "outcome",
	.values = outcome_names,
	.series = OUTCOME_COUNT,
	.numbers = outcome_numbers,
};

void batch_start(const struct conf *conf)
{
	answer_within_ms = (uint64_t)conf->daemon.answer_within_ms;
	metrics_add(&outcomes_metric);
}

static json_t *make_outcome(enum outcome outcome, const char *id, const char *reason)
{
	json_t *object = json_object();

	metric_add(&outcomes_metric, outcome, 1);
	json_object_set_new_nocheck(object, "outcome", json_string(outcome_names[outcome]));
	if (outcome == OUTCOME_SENT && *id != '\0')
		json_object_set_new_nocheck(object, "id", json_string(id));
	if (outcome == OUTCOME_UNAVAILABLE && *reason != '\0')
		json_object_set_new_nocheck(object, "reason", json_string(reason));
	return object;
}

/* Answers with what is settled; the rest is `unavailable`. The batch goes when the request ends. */
static void answer(struct batch *batch)
{
	json_t *outcomes = json_array();

	timer_stop(&batch->hurry);
	timer_stop(&batch->deadline);
	for (size_t i = 0; i < batch->count; i++) {
		json_t *outcome = batch->outcomes[i];

		batch->outcomes[i] = NULL;
		if (outcome == NULL)
			outcome = make_outcome(OUTCOME_UNAVAILABLE, "", "deadline");
		json_array_append_new(outcomes, outcome);
	}
	http_reply(batch->request, 200, json_pack("{s:o}", "outcomes", outcomes));
}

static void answer_if_settled(struct batch *batch)
{
	if (batch->unsettled == 0 && !batch->busy)
		answer(batch);
}

static void on_settled(struct delivery *delivery)
{
	struct element *element = container_of(delivery, struct element, delivery);
	struct batch *batch = element->batch;

	if (batch == NULL)
		return;
	batch->outcomes[element->index] =
	        make_outcome(delivery->outcome, delivery->id, delivery->reason);
	batch->elements[element->index] = NULL;
	batch->unsettled--;
	element->batch = NULL;
	answer_if_settled(batch);
}

static void on_ended(struct delivery *delivery)
{
	free(container_of(delivery, struct element, delivery));
}

static void abandon_rest(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct element *element = batch->elements[i];

		if (element == NULL)
			continue;
		batch->elements[i] = NULL;
		element->batch = NULL;
		delivery_abandon(&element->delivery);
	}
}

static void on_hurry(struct timer *timer)
{
	struct batch *batch = container_of(timer, struct batch, hurry);

	batch->busy = true;
	for (size_t i = 0; i < batch->count; i++)
		if (batch->elements[i] != NULL)
			delivery_hurry(&batch->elements[i]->delivery);
	batch->busy = false;
	answer_if_settled(batch);
}

static void on_deadline(struct timer *timer)
{
	struct batch *batch = container_of(timer, struct batch, deadline);

	abandon_rest(batch);
	answer(batch);
}

static void release(void *state)
{
	struct batch *batch = state;

	timer_stop(&batch->hurry);
	timer_stop(&batch->deadline);
	abandon_rest(batch);
	for (size_t i = 0; i < batch->count; i++)
		json_decref(batch->outcomes[i]);
	free(batch->outcomes);
	free(batch->elements);
	free(batch);
}

/* All of them are read before the first is started: one bad item and the whole call is refused. */
static struct notification *read_items(struct json_object *body, size_t count)
{
	struct notification *notifications = mem_alloc(count + 1, sizeof(*notifications));

	for (size_t i = 0; i < count; i++) {
		struct json_object item = json_object_element(body, "notifications", i);

		notification_read(&notifications[i], &item);
		if (!json_reader_ok(body->reader))
			break;
	}
	return notifications;
}

static void start_element(struct batch *batch, size_t index,
                          const struct notification *notification, const json_t *item)
{
	struct element *element = mem_alloc(1, sizeof(*element));

	element->batch = batch;
	element->index = index;
	element->delivery.settled = on_settled;
	element->delivery.ended = on_ended;
	element->delivery.notification = *notification;
	element->delivery.item = item;
	element->delivery.deadline_ms = batch->hurry_ms;
	batch->elements[index] = element;
	delivery_start(&element->delivery);
}

/* When what is unsettled is stored: the answer must come before WAIT_MS have passed. */
static uint64_t choose_hurry_ms(uint64_t wait_ms)
{
	uint64_t storing_ms = wait_ms / 2 < STORING_MS ? wait_ms / 2 : STORING_MS;

	return wait_ms - storing_ms < answer_within_ms ? wait_ms - storing_ms : answer_within_ms;
}

static struct batch *make_batch(struct http_request *request, size_t count, uint64_t wait_ms)
{
	struct batch *batch = mem_alloc(1, sizeof(*batch));
	uint64_t hurry_ms = choose_hurry_ms(wait_ms);

	batch->request = request;
	batch->count = batch->unsettled = count;
	batch->outcomes = mem_alloc(count + 1, sizeof(json_t *));
	batch->elements = mem_alloc(count + 1, sizeof(struct element *));
	batch->hurry.expired = on_hurry;
	batch->deadline.expired = on_deadline;
	batch->hurry_ms = loop_now_ms() + hurry_ms;
	http_attach(request, batch, release);
	timer_start(&batch->hurry, hurry_ms);
	timer_start(&batch->deadline, wait_ms);
	return batch;
}

static void start_batch(struct http_request *request, const struct notification *notifications,
                        const json_t *items, uint64_t wait_ms)
{
	size_t count = json_array_size(items);
	struct batch *batch = make_batch(request, count, wait_ms);

	batch->busy = true;
	for (size_t i = 0; i < count; i++)
		start_element(batch, i, &notifications[i], json_array_get(items, i));
	batch->busy = false;
	answer_if_settled(batch);
}

void batch_serve(struct http_request *request)
{
	struct json_reader reader;
	struct json_object body;
	struct notification *notifications;
	const json_t *json = http_body_json(request);
	int64_t wait_ms;
	size_t count;

	if (json == NULL)
		return;
	if (daemon_draining()) {
		http_fail(request, 503, "unavailable", "this pushd is draining");
		return;
	}
	body = json_object_top(&reader, json);
	wait_ms = json_integer_member(&body, "deadline_ms", 1, DEADLINE_MAX_MS, 0);
	count = json_array_count(&body, "notifications", BATCH_MAX, true);
	json_object_end(&body);
	if (json_reader_ok(&reader) && wait_ms == 0)
		json_complain(&body, "deadline_ms", "is missing");
	notifications = read_items(&body, count);
	if (json_reader_ok(&reader))
		start_batch(request, notifications, json_object_get(json, "notifications"),
		            (uint64_t)wait_ms);
	else
		http_fail(request, 400, "bad_request", "%s", reader.complaint);
	free(notifications);
}
