#include "pushd/api/notifications.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "common/http/http_server.h"
#include "pushd/api/rate.h"
#include "pushd/conf.h"
#include "pushd/delivery/delivery.h"
#include "pushd/device/bare_jid.h"
#include "pushd/provider/counters.h"

#define DEADLINE_MAX_MS 60000
#define QUEUEING_MS 500 /* the share of a deadline in which unsettled deliveries are queued */
#define LOOK_MS 200     /* between two looks whether devices are known by now */
#define SLACK_MS 50     /* deliveries that are due so soon are concluded with the others */
#define DOMAINS_MAX 65536

/*
 * One delivery of a batch: of a notification, or of its copy for one of several devices where the
 * node is an alias. It may outlive the batch: on the wire, or queued.
 */
struct element {
	struct delivery delivery;
	struct batch *batch; /* NULL: it is settled */
	size_t index;        /* among the batch's elements */
	size_t place;        /* in the answer */
	json_t *item;        /* of a copy: as it would have been published to that device */
};

/* What is known of one notification. */
struct place {
	size_t unsettled; /* elements */
	enum outcome outcome;
	json_t *told; /* the best of its outcomes so far; NULL: none */
};

/* One call. It is freed when its HTTP request ends. */
struct batch {
	struct http_request *request;
	struct timer conclude;   /* then unsettled deliveries are asked for an outcome */
	struct timer deadline;   /* then the call is answered, whatever is unsettled */
	uint64_t last_ms;        /* then all of them are asked; by loop_now_ms() */
	size_t count, unsettled; /* notifications */
	struct place *places;
	struct element **elements; /* NULL: settled */
	size_t element_count, element_room;
	bool looping; /* over its elements: an answer would free it under the loop */
};

static struct {
	uint64_t answer_within_ms;
	bool limited; /* domain-rate is set */
	struct rate domains;
} self;

static int64_t refused_number;
static struct metric refused_metric = {
	.name = "outrigger_pushd_domain_refusals_total",
	.help = "Notifications that were refused because their publisher's domain sent too many.",
	.kind = METRIC_COUNTER,
	.numbers = &refused_number,
};

/* ---- admission ---- */

/*
 * True if DOMAIN (the publisher's, in any case) may publish one notification now; then that is
 * counted against its rate.
 */
static bool domain_allowed(const char *domain)
{
	char *prepared;
	uint64_t wait_ns;

	if (!self.limited)
		return true;
	prepared = bare_jid_prepare(domain);
	wait_ns = rate_take(&self.domains, prepared, strlen(prepared), loop_now_ns());
	free(prepared);
	metric_add(&refused_metric, 0, wait_ns > 0);
	return wait_ns == 0;
}

/* Why NOTIFICATION isn't taken, or NULL. */
static const char *find_refusal(const struct notification *notification)
{
	if (deliveries_count() >= deliveries_max())
		return reason_names[REASON_FULL];
	return domain_allowed(notification->domain) ? NULL : reason_names[REASON_DOMAIN_LIMIT];
}

/* ---- the answer ---- */

static json_t *make_outcome(enum outcome outcome, const char *id, const char *reason)
{
	json_t *object = json_object();

	json_object_set_new_nocheck(object, "outcome", json_string(outcome_names[outcome]));
	if (outcome == OUTCOME_SENT && *id != '\0')
		json_object_set_new_nocheck(object, "id", json_string(id));
	if (outcome == OUTCOME_UNAVAILABLE && *reason != '\0')
		json_object_set_new_nocheck(object, "reason", json_string(reason));
	return object;
}

static void answer(struct batch *batch)
{
	json_t *outcomes = json_array();

	timer_stop(&batch->conclude);
	timer_stop(&batch->deadline);
	for (size_t i = 0; i < batch->count; i++) {
		json_array_append_new(outcomes, batch->places[i].told);
		batch->places[i].told = NULL;
	}
	http_reply(batch->request, 200, json_pack("{s:o}", "outcomes", outcomes));
}

static void answer_if_settled(struct batch *batch)
{
	if (batch->unsettled == 0 && !batch->looping)
		answer(batch);
}

/*
 * True if A tells more than B of a notification for several devices. It is gone when all of them
 * are. An error would make some servers forget all of them for the fault of one.
 */
static bool outweighs(enum outcome a, enum outcome b)
{
	static const int weights[OUTCOME_COUNT] = {
		[OUTCOME_SENT] = 4,        [OUTCOME_QUEUED] = 3, [OUTCOME_MERGED] = 2,
		[OUTCOME_UNAVAILABLE] = 1, [OUTCOME_GONE] = 0,
	};

	return weights[a] > weights[b];
}

/* One of the elements of PLACE has an outcome; ID and REASON may be empty. */
static void settle(struct batch *batch, size_t place, enum outcome outcome, const char *id,
                   const char *reason)
{
	struct place *at = &batch->places[place];

	if (at->told == NULL || outweighs(outcome, at->outcome)) {
		json_decref(at->told);
		at->told = make_outcome(outcome, id, reason);
		at->outcome = outcome;
	}
	if (--at->unsettled == 0)
		batch->unsettled--;
}

static void on_delivery_settled(struct delivery *delivery)
{
	struct element *element = container_of(delivery, struct element, delivery);
	struct batch *batch = element->batch;

	if (batch == NULL)
		return;
	element->batch = NULL;
	batch->elements[element->index] = NULL;
	counters_outcome(delivery_provider(delivery), delivery->outcome);
	settle(batch, element->place, delivery->outcome, delivery->id, delivery->reason);
	answer_if_settled(batch);
}

static void on_delivery_ended(struct delivery *delivery)
{
	struct element *element = container_of(delivery, struct element, delivery);

	json_decref(element->item);
	free(element);
}

/* Nobody waits for the delivery at INDEX any more. */
static void abandon(struct batch *batch, size_t index)
{
	struct element *element = batch->elements[index];

	batch->elements[index] = NULL;
	element->batch = NULL;
	delivery_abandon(&element->delivery);
}

/*
 * When DELIVERY is asked for an outcome: answer-within after its device is known, since before that
 * nothing but Redis is waited for.
 */
static uint64_t conclude_due_ms(const struct batch *batch, const struct delivery *delivery,
                                uint64_t now_ms)
{
	uint64_t due_ms = delivery->known_ms != 0 ? delivery->known_ms + self.answer_within_ms
	                                          : now_ms + LOOK_MS;

	return due_ms < batch->last_ms ? due_ms : batch->last_ms;
}

static void on_conclude(struct timer *timer)
{
	struct batch *batch = container_of(timer, struct batch, conclude);
	uint64_t now_ms = loop_now_ms(), next_ms = 0;

	batch->looping = true;
	for (size_t i = 0; i < batch->element_count; i++) {
		struct delivery *delivery;
		uint64_t due_ms;

		if (batch->elements[i] == NULL)
			continue;
		delivery = &batch->elements[i]->delivery;
		due_ms = conclude_due_ms(batch, delivery, now_ms);
		if (due_ms <= now_ms + SLACK_MS)
			delivery_conclude(delivery);
		else if (next_ms == 0 || due_ms < next_ms)
			next_ms = due_ms;
	}
	batch->looping = false;
	if (next_ms != 0)
		timer_start(&batch->conclude, next_ms - now_ms);
	answer_if_settled(batch);
}

static void on_deadline(struct timer *timer)
{
	struct batch *batch = container_of(timer, struct batch, deadline);

	for (size_t i = 0; i < batch->element_count; i++) {
		const struct element *element = batch->elements[i];

		if (element == NULL)
			continue;
		counters_outcome(delivery_provider(&element->delivery), OUTCOME_UNAVAILABLE);
		settle(batch, element->place, OUTCOME_UNAVAILABLE, "",
		       reason_names[REASON_DEADLINE]);
		abandon(batch, i);
	}
	answer(batch);
}

static void release(void *state)
{
	struct batch *batch = state;

	timer_stop(&batch->conclude);
	timer_stop(&batch->deadline);
	for (size_t i = 0; i < batch->element_count; i++)
		if (batch->elements[i] != NULL)
			abandon(batch, i);
	for (size_t i = 0; i < batch->count; i++)
		json_decref(batch->places[i].told);
	free(batch->places);
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

static void refuse(struct batch *batch, size_t place, const char *refusal)
{
	counters_outcome(NULL, OUTCOME_UNAVAILABLE);
	settle(batch, place, OUTCOME_UNAVAILABLE, "", refusal);
}

/* A delivery of NOTIFICATION, read from ITEM (both borrowed), that isn't started yet. */
static struct element *add_element(struct batch *batch, size_t place,
                                   const struct notification *notification, const json_t *item)
{
	struct element *element = mem_alloc(1, sizeof(*element));

	if (batch->element_count == batch->element_room) {
		batch->element_room = batch->element_room * 2 + DEVICE_ALIAS_MAX;
		batch->elements =
		        mem_resize(batch->elements, batch->element_room, sizeof(struct element *));
	}
	element->batch = batch;
	element->index = batch->element_count;
	element->place = place;
	element->delivery.settled = on_delivery_settled;
	element->delivery.ended = on_delivery_ended;
	element->delivery.notification = *notification;
	element->delivery.item = item;
	element->delivery.deadline_ms = batch->last_ms;
	batch->elements[batch->element_count++] = element;
	return element;
}

/* A copy of ALIASED's notification for the device with NODE. */
static void start_copy(const struct element *aliased, struct batch *batch, const char *node)
{
	struct notification notification = aliased->delivery.notification;
	json_t *item;
	struct element *element;
	size_t index = batch->element_count;

	if (deliveries_count() >= deliveries_max()) {
		refuse(batch, aliased->place, reason_names[REASON_FULL]);
		return;
	}
	item = json_copy((json_t *)aliased->delivery.item);
	json_object_set_new(item, "node", json_string(node));
	notification.node = json_string_value(json_object_get(item, "node"));
	element = add_element(batch, aliased->place, &notification, item);
	element->item = item;
	delivery_start(&element->delivery);
	if (!timer_active(&batch->conclude) && batch->elements[index] != NULL)
		delivery_conclude(&batch->elements[index]->delivery);
}

/* The node is an alias: each of its devices gets the notification. */
static void on_delivery_aliased(struct delivery *delivery, const struct device *devices,
                                size_t count)
{
	struct element *element = container_of(delivery, struct element, delivery);
	struct batch *batch = element->batch;

	batch->elements[element->index] = NULL;
	element->batch = NULL;
	batch->places[element->place].unsettled += count - 1;
	batch->looping = true;
	for (size_t i = 0; i < count; i++)
		start_copy(element, batch, devices[i].node);
	batch->looping = false;
	answer_if_settled(batch);
}

static void start_element(struct batch *batch, size_t place,
                          const struct notification *notification, const json_t *item)
{
	const char *refusal = find_refusal(notification);
	struct element *element;

	batch->places[place].unsettled = 1;
	if (refusal != NULL) {
		refuse(batch, place, refusal);
		return;
	}
	element = add_element(batch, place, notification, item);
	element->delivery.aliased = on_delivery_aliased;
	delivery_start(&element->delivery);
}

/* For how long deliveries may be unsettled, so that the answer comes before WAIT_MS have passed. */
static uint64_t choose_last_ms(uint64_t wait_ms)
{
	return wait_ms - (wait_ms / 2 < QUEUEING_MS ? wait_ms / 2 : QUEUEING_MS);
}

static struct batch *make_batch(struct http_request *request, size_t count, uint64_t wait_ms)
{
	struct batch *batch = mem_alloc(1, sizeof(*batch));
	uint64_t last_ms = choose_last_ms(wait_ms);

	batch->request = request;
	batch->count = batch->unsettled = count;
	batch->places = mem_alloc(count + 1, sizeof(*batch->places));
	batch->element_room = count;
	batch->elements = mem_alloc(count + 1, sizeof(struct element *));
	batch->conclude.expired = on_conclude;
	batch->deadline.expired = on_deadline;
	batch->last_ms = loop_now_ms() + last_ms;
	http_attach(request, batch, release);
	timer_start(&batch->conclude,
	            last_ms < self.answer_within_ms ? last_ms : self.answer_within_ms);
	timer_start(&batch->deadline, wait_ms);
	return batch;
}

static void start_batch(struct http_request *request, const struct notification *notifications,
                        const json_t *items, uint64_t wait_ms)
{
	size_t count = json_array_size(items);
	struct batch *batch = make_batch(request, count, wait_ms);

	batch->looping = true;
	for (size_t i = 0; i < count; i++)
		start_element(batch, i, &notifications[i], json_array_get(items, i));
	batch->looping = false;
	answer_if_settled(batch);
}

static void serve_notifications(struct http_request *request)
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
	count = json_array_count(&body, "notifications", NOTIFICATIONS_MAX, true);
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

/* ---- the module ---- */

const struct http_route notifications_routes[] = {
	{ "POST", "/v1/notifications", serve_notifications },
	{ NULL },
};

static int start(void *config)
{
	const struct conf_daemon *daemon = &((const struct conf *)config)->daemon;

	self.answer_within_ms = (uint64_t)daemon->answer_within_ms;
	self.limited = daemon->domain_rate > 0;
	metrics_add(&refused_metric);
	if (!self.limited)
		return 0;
	self.domains.burst = (uint32_t)daemon->domain_burst;
	self.domains.interval_ns = UINT64_C(1000000000) / (uint64_t)daemon->domain_rate;
	self.domains.keys_max = DOMAINS_MAX;
	rate_init(&self.domains);
	return 0;
}

static void stop(void)
{
	if (self.limited)
		rate_release(&self.domains);
	self.limited = false;
}

const struct daemon_module notifications_module = { "notifications", start, stop };
