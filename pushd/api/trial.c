#include "pushd/api/trial.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/http/http_server.h"
#include "pushd/db.h"
#include "pushd/delivery/delivery.h"
#include "pushd/delivery/history.h"
#include "pushd/device/bare_jid.h"
#include "pushd/provider/counters.h"

#define CONCLUDE_MS 2000 /* less than a gateway waits for the answer */
#define TEXT "This is a test of the push notifications, sent by an administrator."

/* It lives until the request and its delivery have ended. */
struct trial {
	struct http_request *request; /* NULL: it has ended */
	struct device_query query;
	struct delivery delivery;
	struct timer conclude;
	struct history_query history;
	json_t *item;     /* the notification */
	json_t *outcome;  /* what is answered, while the verdicts are looked up */
	int64_t began_ms; /* by the wall clock, as verdicts are dated */
	bool delivering, settled;
	bool looked; /* for the verdicts, once */
};

static void free_trial(struct trial *trial)
{
	json_decref(trial->item);
	json_decref(trial->outcome);
	free(trial);
}

static void release(void *state)
{
	struct trial *trial = state;

	trial->request = NULL;
	device_query_cancel(&trial->query);
	timer_stop(&trial->conclude);
	redis_cancel(&trial->history.call);
	if (!trial->delivering)
		free_trial(trial);
	else if (!trial->settled)
		delivery_abandon(&trial->delivery);
}

/*
 * The test's verdict is perhaps not there yet: where Redis doesn't know the script that writes it,
 * it is written in a second attempt, before the second look.
 */
static void on_history_found(struct history_query *history, json_t *verdicts)
{
	struct trial *trial = container_of(history, struct trial, history);
	const json_t *newest = json_array_get(verdicts, 0);

	if (!trial->looked &&
	    json_integer_value(json_object_get(newest, "at_ms")) < trial->began_ms) {
		trial->looked = true;
		history_find(history, http_param(trial->request, 0));
		return;
	}
	json_object_set(trial->outcome, "verdicts", verdicts);
	http_reply(trial->request, 200, json_incref(trial->outcome));
}

static void on_settled(struct delivery *delivery)
{
	struct trial *trial = container_of(delivery, struct trial, delivery);

	trial->settled = true;
	counters_outcome(delivery_provider(delivery), delivery->outcome);
	log_info("test-sent node=%.6s outcome=%s reason=%s", delivery->notification.node,
	         outcome_names[delivery->outcome], delivery->reason);
	if (trial->request == NULL)
		return;
	timer_stop(&trial->conclude);
	trial->outcome = json_pack("{s:s}", "outcome", outcome_names[delivery->outcome]);
	if (delivery->outcome == OUTCOME_SENT && delivery->id[0] != '\0')
		json_object_set_new(trial->outcome, "id", json_string(delivery->id));
	if (delivery->reason[0] != '\0')
		json_object_set_new(trial->outcome, "reason", json_string(delivery->reason));
	trial->history.done = on_history_found;
	history_find(&trial->history, http_param(trial->request, 0));
}

static void on_ended(struct delivery *delivery)
{
	struct trial *trial = container_of(delivery, struct trial, delivery);

	trial->delivering = false;
	if (trial->request == NULL)
		free_trial(trial);
}

static void on_conclude(struct timer *timer)
{
	delivery_conclude(&container_of(timer, struct trial, conclude)->delivery);
}

/* What the owner's server would publish. */
static json_t *make_item(const struct device *device)
{
	json_t *item =
	        json_pack("{s:s, s:s, s:s, s:{s:i, s:s, s:s}}", "component", device->component,
	                  "domain", bare_jid_domain(device->owner), "node", device->node, "summary",
	                  "count", 1, "sender", device->component, "body", TEXT);

	if (device_has_secret(device))
		json_object_set_new(item, "secret", json_string(device->secret));
	return item;
}

static void deliver(struct trial *trial)
{
	struct json_reader reader;
	struct json_object top = json_object_top(&reader, trial->item);

	notification_read(&trial->delivery.notification, &top);
	trial->delivery.item = trial->item;
	trial->delivery.settled = on_settled;
	trial->delivery.ended = on_ended;
	trial->delivery.deadline_ms = loop_now_ms() + CONCLUDE_MS;
	trial->delivering = true;
	trial->began_ms = loop_wall_ms();
	trial->conclude.expired = on_conclude;
	timer_start(&trial->conclude, CONCLUDE_MS);
	delivery_start(&trial->delivery);
}

static void on_device_found(struct device_query *query, enum device_result result,
                            const struct device *devices, size_t count)
{
	struct trial *trial = container_of(query, struct trial, query);

	if (result == DEVICE_UNAVAILABLE) {
		http_fail(trial->request, 503, "unavailable", "the storage can't be reached");
	} else if (result != DEVICE_DONE) {
		http_fail(trial->request, 404, "not_found", "there is no such device");
	} else if (deliveries_count() >= deliveries_max()) {
		http_fail(trial->request, 503, "unavailable", "this pushd has too much to send");
	} else {
		trial->item = make_item(devices);
		deliver(trial);
	}
}

static void serve(struct http_request *request)
{
	struct trial *trial;

	if (daemon_draining()) {
		http_fail(request, 503, "unavailable", "this pushd is draining");
		return;
	}
	trial = mem_alloc(1, sizeof(*trial));
	trial->request = request;
	trial->query.done = on_device_found;
	http_attach(request, trial, release);
	device_find(&trial->query, db_redis(), http_param(request, 0));
}

const struct http_route trial_routes[] = {
	{ "POST", "/v1/devices/{node}/test", serve },
	{ NULL },
};
