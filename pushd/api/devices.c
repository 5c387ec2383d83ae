#include "pushd/api/devices.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/log_rate.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/http/http_server.h"
#include "pushd/db.h"
#include "pushd/delivery/history.h"
#include "pushd/device/bare_jid.h"
#include "pushd/device/device.h"
#include "pushd/device/dialect.h"
#include "pushd/device/recipient.h"
#include "pushd/provider/kinds.h"
#include "pushd/sender/sender.h"

#define TOKEN_MAX 4096
#define NAME_MAX_BYTES 255
#define JID_MAX_BYTES 512 /* of an owner, or of a room, whose names stand in Redis several times */

static int64_t registered_number, unregistered_number;
static struct metric registered_metric = {
	.name = "outrigger_pushd_devices_registered_total",
	.help = "Registrations and renewals of devices.",
	.kind = METRIC_COUNTER,
	.numbers = &registered_number,
};
static struct metric unregistered_metric = {
	.name = "outrigger_pushd_devices_unregistered_total",
	.help = "Devices removed by the API.",
	.kind = METRIC_COUNTER,
	.numbers = &unregistered_number,
};

static const char *const limit_names[DEVICE_LIMIT_COUNT] = {
	[DEVICE_LIMIT_ALL] = "devices-max",
	[DEVICE_LIMIT_DOMAIN] = "devices-per-domain-max",
	[DEVICE_LIMIT_RATE] = "registration-rate",
};
static struct log_rate refused_rates[DEVICE_LIMIT_COUNT] = {
	[DEVICE_LIMIT_ALL].what = "registration-refused limit=devices-max",
	[DEVICE_LIMIT_DOMAIN].what = "registration-refused limit=devices-per-domain-max",
	[DEVICE_LIMIT_RATE].what = "registration-refused limit=registration-rate",
};
static int64_t refused_numbers[DEVICE_LIMIT_COUNT];
static struct metric refused_metric = {
	.name = "outrigger_pushd_registrations_refused_total",
	.help = "New registrations of devices that a limit refused.",
	.kind = METRIC_COUNTER,
	.label = "limit",
	.values = limit_names,
	.series = DEVICE_LIMIT_COUNT,
	.numbers = refused_numbers,
};

/* A request that is answered once Redis has. */
struct deferred {
	struct http_request *request;
	union {
		struct device_registration registration;
		struct device_query query;
		struct device_removal removal;
	};
	struct redis_call *call; /* of the one that is used; NULL: the query's */
	struct history_query history;
	json_t *shown; /* a device, while its verdicts are looked up */
	char *owner;   /* whose devices are forgotten, or whose one is registered */
	unsigned forgotten, forgotten_events;
};

static void release_deferred(void *state)
{
	struct deferred *deferred = state;

	if (deferred->call != NULL)
		redis_cancel(deferred->call);
	else
		device_query_cancel(&deferred->query);
	redis_cancel(&deferred->history.call);
	json_decref(deferred->shown);
	free(deferred->owner);
	free(deferred);
}

static struct deferred *defer(struct http_request *request)
{
	struct deferred *deferred = mem_alloc(1, sizeof(*deferred));

	deferred->request = request;
	http_attach(request, deferred, release_deferred);
	return deferred;
}

static void fail_storage(struct http_request *request)
{
	http_fail(request, 503, "unavailable", "the storage can't be reached");
}

/* True when there is such a device; else REQUEST has been answered. */
static bool check_found(struct http_request *request, enum device_result result)
{
	if (result == DEVICE_UNAVAILABLE)
		fail_storage(request);
	else if (result != DEVICE_DONE)
		http_fail(request, 404, "not_found", "there is no such device");
	return result == DEVICE_DONE;
}

/* ---- registering ---- */

/* The device that a body describes, with the texts that were changed on the heap. */
struct device_fields {
	struct device device;
	char *component, *owner, *token, *second_token, *channel;
};

static void release_fields(struct device_fields *fields)
{
	free(fields->component);
	free(fields->owner);
	free(fields->channel);
	mem_free_secret(fields->token);
	mem_free_secret(fields->second_token);
}

static void read_owner(struct device_fields *fields, struct json_object *body)
{
	const char *owner = json_string_member(body, "owner", JID_MAX_BYTES, true);

	if (owner != NULL && !bare_jid_valid(owner))
		json_complain(body, "owner", "must be a bare JID");
	fields->device.owner = fields->owner = bare_jid_prepare(owner);
}

static void read_component(struct device_fields *fields, struct json_object *body, bool needed)
{
	fields->component = bare_jid_prepare(
	        json_string_member(body, "component", BARE_JID_DOMAIN_MAX, needed));
	fields->device.component = fields->component;
}

/*
 * The token under KEY in the form that its provider takes; NULL, with a complaint where that is
 * due.
 */
static char *read_token(struct json_object *body, const char *key, const struct sender *sender,
                        bool needed)
{
	char *token = mem_dup(json_string_member(body, key, TOKEN_MAX, needed));
	const struct provider_kind *kind;

	if (token == NULL || sender == NULL)
		return token;
	kind = provider_kinds[sender_provider(sender)->kind];
	if (!kind->accept_token(token))
		json_complain(body, key, "is malformed");
	return token;
}

/* The room whose channel alone is registered, in dialects whose devices have an id. */
static void read_channel(struct device_fields *fields, struct json_object *body,
                         const struct dialect *dialect)
{
	const char *channel = json_string_member(body, "channel", JID_MAX_BYTES, false);

	if (channel == NULL)
		return;
	if (dialect != NULL && !dialect->by_device_id)
		json_complain(body, "channel", "this dialect has none");
	if (!bare_jid_valid(channel))
		json_complain(body, "channel", "must be a bare JID");
	fields->device.channel = fields->channel = bare_jid_prepare(channel);
}

static void read_dialect(struct device_fields *fields, struct json_object *body)
{
	const char *name = json_string_member(body, "dialect", 16, true);
	const struct dialect *dialect = dialect_find(name);

	if (name != NULL && (dialect == NULL || !dialect->registers))
		json_complain(body, "dialect", "must be " DIALECTS_REGISTERING);
	fields->device.dialect = name;
	fields->device.device_id = json_string_member(body, "device_id", NAME_MAX_BYTES,
	                                              dialect != NULL && dialect->by_device_id);
	read_channel(fields, body, dialect);
}

/* What the server publishes to: another push service's node, which devices may share. */
static void read_alias(struct device_fields *fields, struct json_object *body)
{
	const struct dialect *dialect = dialect_find(fields->device.dialect);

	fields->device.alias = json_string_member(body, "alias", DEVICE_ALIAS_BYTES, false);
	if (fields->device.alias == NULL)
		return;
	if (*fields->device.alias == '\0')
		json_complain(body, "alias", "is empty");
	if (device_is_node(fields->device.alias))
		json_complain(body, "alias", "has the form of this service's own nodes");
	if (dialect != NULL && dialect->has_secret)
		json_complain(body, "alias", "this dialect has none: its publishes carry a secret");
}

static void read_fields(struct device_fields *fields, struct json_object *body)
{
	const char *provider;
	const struct sender *sender = NULL;

	read_component(fields, body, true);
	read_owner(fields, body);
	provider = json_string_member(body, "provider", NAME_MAX_BYTES, true);
	if (provider != NULL)
		sender = senders_find(provider);
	if (provider != NULL && sender == NULL)
		json_complain(body, "provider", "there is no such provider");
	fields->device.provider = provider;
	fields->device.token = fields->token = read_token(body, "token", sender, true);
	fields->device.second_token = fields->second_token =
	        read_token(body, "second_token", sender, false);
	read_dialect(fields, body);
	read_alias(fields, body);
	json_object_end(body);
}

#define FULL_RETRY_S "3600" /* a cap has room when other devices have gone */

static void count_refusal(enum device_limit limit, const char *domain)
{
	metric_add(&refused_metric, limit, 1);
	if (log_rate_allows(&refused_rates[limit]))
		log_info("registration-refused limit=%s domain=%s", limit_names[limit], domain);
}

static void refuse_by_limit(struct http_request *request, enum device_limit limit,
                            const char *domain)
{
	count_refusal(limit, domain);
	http_fail(request, 429, "too_many_requests", "%s",
	          limit == DEVICE_LIMIT_ALL      ? "there are too many devices"
	          : limit == DEVICE_LIMIT_DOMAIN ? "the domain has too many devices"
	                                         : "the domain registers too many at once");
	http_answer_header(request, "Retry-After", limit == DEVICE_LIMIT_RATE ? "1" : FULL_RETRY_S);
}

static void on_device_registered(struct device_registration *registration,
                                 enum device_result result)
{
	struct deferred *deferred = container_of(registration, struct deferred, registration);

	if (result == DEVICE_ABSENT) {
		http_fail(deferred->request, 409, "conflict", "the alias has %d devices already",
		          DEVICE_ALIAS_MAX);
		return;
	}
	if (result == DEVICE_LIMIT) {
		refuse_by_limit(deferred->request, registration->limit,
		                bare_jid_domain(deferred->owner));
		return;
	}
	if (result != DEVICE_DONE) {
		fail_storage(deferred->request);
		return;
	}
	metric_add(&registered_metric, 0, 1);
	log_info("device-registered node=%.6s created=%s evicted=%u", registration->node,
	         registration->created ? "yes" : "no", registration->evicted);
	http_reply(deferred->request, 200,
	           json_pack("{s:s, s:s, s:b}", "node", registration->node, "secret",
	                     registration->secret, "created", registration->created));
}

static void start_registration(struct http_request *request, const struct device *device)
{
	struct device_limits limits = recipient_limits();
	struct deferred *deferred = defer(request);

	deferred->owner = mem_dup(device->owner);
	deferred->registration.done = on_device_registered;
	deferred->call = &deferred->registration.call;
	device_register(&deferred->registration, db_redis(), device, &limits);
}

static void serve_register(struct http_request *request)
{
	struct json_reader reader;
	struct json_object body;
	struct device_fields fields = { 0 };
	const json_t *json = http_body_json(request);

	if (json == NULL)
		return;
	body = json_object_top(&reader, json);
	read_fields(&fields, &body);
	if (!json_reader_ok(&reader))
		http_fail(request, 400, "bad_request", "%s", reader.complaint);
	else if (!recipient_may_register(fields.owner))
		http_fail(request, 403, "forbidden", "users of %s may not register here",
		          bare_jid_domain(fields.owner));
	else
		start_registration(request, &fields.device);
	release_fields(&fields);
}

/* ---- unregistering ---- */

static void on_device_unregistered(struct device_removal *removal, enum device_result result)
{
	struct deferred *deferred = container_of(removal, struct deferred, removal);

	metric_add(&unregistered_metric, 0, removal->count);
	if (!check_found(deferred->request, result))
		return;
	log_info("device-unregistered count=%u", removal->count);
	http_reply(deferred->request, 200, json_pack("{s:i}", "removed", (int)removal->count));
}

static void start_unregistration(struct http_request *request, const struct device *device)
{
	struct deferred *deferred = defer(request);

	deferred->removal.done = on_device_unregistered;
	deferred->call = &deferred->removal.call;
	device_unregister(&deferred->removal, db_redis(), device);
}

static void serve_unregister(struct http_request *request)
{
	struct json_reader reader;
	struct json_object body;
	struct device_fields fields = { 0 };
	const json_t *json = http_body_json(request);

	if (json == NULL)
		return;
	body = json_object_top(&reader, json);
	read_component(&fields, &body, false);
	read_owner(&fields, &body);
	fields.device.provider = json_string_member(&body, "provider", NAME_MAX_BYTES, false);
	fields.device.device_id = json_string_member(&body, "device_id", NAME_MAX_BYTES, false);
	fields.device.channel_id = json_string_member(&body, "channel_id", NAME_MAX_BYTES, false);
	fields.device.token = fields.token =
	        read_token(&body, "token", NULL, fields.device.device_id == NULL);
	json_object_end(&body);
	if (json_reader_ok(&reader))
		start_unregistration(request, &fields.device);
	else
		http_fail(request, 400, "bad_request", "%s", reader.complaint);
	release_fields(&fields);
}

static void on_device_removed(struct device_removal *removal, enum device_result result)
{
	struct deferred *deferred = container_of(removal, struct deferred, removal);

	metric_add(&unregistered_metric, 0, removal->count);
	if (!check_found(deferred->request, result))
		return;
	log_info("device-removed node=%.6s", http_param(deferred->request, 0));
	http_reply(deferred->request, 204, NULL);
}

static void serve_remove(struct http_request *request)
{
	struct deferred *deferred = defer(request);

	deferred->removal.done = on_device_removed;
	deferred->call = &deferred->removal.call;
	device_remove(&deferred->removal, db_redis(), http_param(request, 0));
}

/* ---- forgetting an account ---- */

#define FORGET_MOST 100         /* devices in one call of Redis */
#define FORGET_EVENTS_MOST 2000 /* entries that one call looks at */

static void forget_more(struct deferred *deferred);
static void forget_events(struct deferred *deferred);

static void on_forgotten(struct device_removal *removal, enum device_result result)
{
	struct deferred *deferred = container_of(removal, struct deferred, removal);

	if (result == DEVICE_UNAVAILABLE) {
		fail_storage(deferred->request);
		return;
	}
	deferred->forgotten += removal->count;
	if (removal->count == FORGET_MOST) {
		forget_more(deferred);
		return;
	}
	metric_add(&unregistered_metric, 0, deferred->forgotten);
	log_info("account-forgotten devices=%u events=%u", deferred->forgotten,
	         deferred->forgotten_events);
	http_reply(deferred->request, 200,
	           json_pack("{s:i, s:i}", "devices", (int)deferred->forgotten, "events",
	                     (int)deferred->forgotten_events));
}

static void forget_more(struct deferred *deferred)
{
	deferred->removal.done = on_forgotten;
	device_forget(&deferred->removal, db_redis(), deferred->owner, FORGET_MOST);
}

static void on_events_forgotten(struct device_removal *removal, enum device_result result)
{
	struct deferred *deferred = container_of(removal, struct deferred, removal);

	if (result == DEVICE_UNAVAILABLE) {
		fail_storage(deferred->request);
		return;
	}
	deferred->forgotten_events += removal->count;
	if (removal->last[0] != '\0')
		forget_events(deferred);
	else
		forget_more(deferred);
}

/* Old events go before the devices, whose own events have to stay until gateways have read them. */
static void forget_events(struct deferred *deferred)
{
	deferred->removal.done = on_events_forgotten;
	device_forget_gone(&deferred->removal, db_redis(), deferred->owner, FORGET_EVENTS_MOST);
}

static void serve_forget(struct http_request *request)
{
	const char *owner = http_param(request, 0);
	struct deferred *deferred;

	if (strlen(owner) > BARE_JID_MAX || !bare_jid_valid(owner)) {
		http_fail(request, 400, "bad_request", "the account must be a bare JID");
		return;
	}
	deferred = defer(request);
	deferred->call = &deferred->removal.call;
	deferred->owner = bare_jid_prepare(owner);
	forget_events(deferred);
}

/* ---- looking ---- */

#define HINT_BYTES 6 /* of a token: enough to tell a user's phones apart */

static json_t *describe(const struct device *device)
{
	char hint[HINT_BYTES + sizeof("…")];

	snprintf(hint, sizeof(hint), "%.*s…", HINT_BYTES, device->token);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s*}", "node", device->node,
	                 "component", device->component, "owner", device->owner, "provider",
	                 device->provider, "dialect", device->dialect, "registered_ms",
	                 (json_int_t)device->registered_ms, "token_hint", hint, "alias",
	                 device->alias);
}

static void on_history_found(struct history_query *history, json_t *verdicts)
{
	struct deferred *deferred = container_of(history, struct deferred, history);

	json_object_set(deferred->shown, "verdicts", verdicts);
	http_reply(deferred->request, 200, json_incref(deferred->shown));
}

static void on_device_found(struct device_query *query, enum device_result result,
                            const struct device *devices, size_t count)
{
	struct deferred *deferred = container_of(query, struct deferred, query);

	if (!check_found(deferred->request, result))
		return;
	deferred->shown = describe(devices);
	json_object_set_new(deferred->shown, "waiting", json_boolean(query->waiting));
	deferred->history.done = on_history_found;
	history_find(&deferred->history, http_param(deferred->request, 0));
}

static void serve_show(struct http_request *request)
{
	struct deferred *deferred = defer(request);

	deferred->query.done = on_device_found;
	device_find(&deferred->query, db_redis(), http_param(request, 0));
}

static void on_devices_listed(struct device_query *query, enum device_result result,
                              const struct device *devices, size_t count)
{
	struct deferred *deferred = container_of(query, struct deferred, query);
	json_t *list;

	if (result != DEVICE_DONE) {
		fail_storage(deferred->request);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, describe(&devices[i]));
	http_reply(deferred->request, 200, json_pack("{s:o}", "devices", list));
}

static void serve_list(struct http_request *request)
{
	const char *owner = http_query(request, "owner");
	struct deferred *deferred;
	char *prepared;

	if (owner == NULL || strlen(owner) > BARE_JID_MAX || !bare_jid_valid(owner)) {
		http_fail(request, 400, "bad_request", "owner: must be a bare JID");
		return;
	}
	deferred = defer(request);
	deferred->query.done = on_devices_listed;
	prepared = bare_jid_prepare(owner);
	device_list(&deferred->query, db_redis(), prepared);
	free(prepared);
}

/* ---- the module ---- */

/* clang-format off */
const struct http_route devices_routes[] = {
	{ "POST", "/v1/devices", serve_register },
	{ "POST", "/v1/devices/unregister", serve_unregister },
	{ "GET", "/v1/devices", serve_list },
	{ "GET", "/v1/devices/{node}", serve_show },
	{ "DELETE", "/v1/devices/{node}", serve_remove },
	{ "DELETE", "/v1/accounts/{jid}", serve_forget },
	{ NULL },
};
/* clang-format on */

static int start(void *config)
{
	metrics_add(&registered_metric);
	metrics_add(&unregistered_metric);
	metrics_add(&refused_metric);
	return 0;
}

const struct daemon_module devices_module = { "devices", start };
