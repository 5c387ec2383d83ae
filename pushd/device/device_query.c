#include <stdlib.h>
#include <string.h>

#include "common/base/loop.h"
#include "common/base/mem.h"
#include "pushd/device/device.h"
#include "pushd/device/device_call.h"
#include "pushd/device/device_key.h"
#include "pushd/device/device_lua.h"
#include "pushd/device/dialect.h"

#define LIST_MAX 1000 /* devices that are shown of one owner, which may be a whole domain */

/* What is made if it isn't there; its texts are on the heap. */
struct device_pin {
	struct redis *redis;
	struct device device;
	struct device_limits limits;
	struct device_registration registration;
	struct device_query *query; /* whose this is */
	char *component, *owner, *provider, *token;
};

static void free_pin(struct device_query *query)
{
	struct device_pin *pin = query->pin;

	if (pin == NULL)
		return;
	query->pin = NULL;
	redis_cancel(&pin->registration.call);
	free(pin->component);
	free(pin->owner);
	free(pin->provider);
	mem_free_secret(pin->token);
	free(pin);
}

static void finish(struct device_query *query, enum stored stored, const struct device *device)
{
	free_pin(query);
	query->done(query, stored, device, device != NULL ? 1 : 0);
}

void device_query_cancel(struct device_query *query)
{
	redis_cancel(&query->slot_call);
	redis_cancel(&query->device_call);
	free_pin(query);
}

bool device_query_busy(const struct device_query *query)
{
	return redis_busy(&query->device_call) ||
	       (query->pin != NULL && redis_busy(&query->pin->registration.call));
}

/* ---- one ---- */

/* False unless REPLY holds the fields of a device. */
static bool read_device(struct device *device, const struct redisReply *reply)
{
	const char *values[DEVICE_FIELDS];

	if (redis_reply_count(reply) != DEVICE_FIELDS)
		return false;
	for (size_t i = 0; i < DEVICE_FIELDS; i++)
		values[i] = redis_reply_string(redis_reply_at(reply, i), NULL);
	*device = (struct device){
		.node = values[DEVICE_NODE],
		.secret = values[DEVICE_SECRET],
		.component = values[DEVICE_COMPONENT],
		.owner = values[DEVICE_OWNER],
		.provider = values[DEVICE_PROVIDER],
		.token = values[DEVICE_TOKEN],
		.second_token = values[DEVICE_SECOND_TOKEN],
		.device_id = values[DEVICE_ID],
		.dialect = values[DEVICE_DIALECT],
		.account = values[DEVICE_ACCOUNT],
		.environment = values[DEVICE_ENVIRONMENT],
		.registered_ms = redis_reply_integer(redis_reply_at(reply, DEVICE_REGISTERED), 0),
		.expires_ms = redis_reply_integer(redis_reply_at(reply, DEVICE_EXPIRES), 0),
		.suspect_days = (unsigned)redis_reply_integer(
		        redis_reply_at(reply, DEVICE_SUSPECT_DAYS), 0),
	};
	return device->node != NULL && device->secret != NULL && device->component != NULL &&
	       device->owner != NULL && device->provider != NULL && device->token != NULL &&
	       device->dialect != NULL && device->account != NULL;
}

static void on_slot(struct redis_call *call, const struct redisReply *reply)
{
	struct device_query *query = container_of(call, struct device_query, slot_call);

	query->waiting = redis_reply_integer(reply, 0) == 1;
}

static void look(struct device_query *query, struct redis *redis, const char *node,
                 void (*done)(struct redis_call *call, const struct redisReply *reply))
{
	char *key = device_call_key(redis, "device:", node);
	char *slot = device_call_key(redis, "slot:", node);
	const char *fields[2 + DEVICE_FIELDS] = { "HMGET", key };

	query->waiting = false;
	query->slot_call.done = on_slot;
	query->device_call.done = done;
	memcpy(fields + 2, device_field_names, sizeof(device_field_names));
	redis_send(redis, &query->slot_call, 2, (const char *[]){ "EXISTS", slot }, NULL);
	redis_send(redis, &query->device_call, ARRAY_LEN(fields), fields, NULL);
	free(slot);
	free(key);
}

static void on_found(struct redis_call *call, const struct redisReply *reply)
{
	struct device_query *query = container_of(call, struct device_query, device_call);
	struct device device;

	redis_cancel(&query->slot_call);
	if (read_device(&device, reply)) {
		device_call_served();
		finish(query, STORED_DONE, &device);
	} else if (redis_reply_count(reply) == DEVICE_FIELDS) {
		finish(query, STORED_ABSENT, NULL);
	} else {
		finish(query, device_call_away(reply), NULL);
	}
}

void device_find(struct device_query *query, struct redis *redis, const char *node)
{
	look(query, redis, node, on_found);
}

/* ---- one that is made by its first publish ---- */

static void on_pinned(struct device_registration *registration, enum stored stored)
{
	struct device_pin *pin = container_of(registration, struct device_pin, registration);
	struct device_query *query = pin->query;

	if (stored == STORED_DONE)
		device_find(query, pin->redis, registration->node);
	else
		finish(query, stored, NULL);
}

/* The publish shows that somebody still wants them. */
static void renew(struct redis *redis, const char *node, int64_t ttl_ms)
{
	struct device_arguments arguments = { 0 };

	device_argument_key(&arguments, redis, "device:", node);
	device_argument_key(&arguments, redis, "expiry", "");
	device_argument(&arguments, redis_prefix(redis));
	device_argument(&arguments, node);
	device_argument_number(&arguments, ttl_ms);
	device_call_unheard(redis, &device_lua_renew, 2, &arguments);
}

static void on_pin_found(struct redis_call *call, const struct redisReply *reply)
{
	struct device_query *query = container_of(call, struct device_query, device_call);
	struct device_pin *pin = query->pin;
	struct device device;

	if (read_device(&device, reply)) {
		if (device.expires_ms - loop_wall_ms() < pin->limits.ttl_ms / 2)
			renew(pin->redis, device.node, pin->limits.ttl_ms);
		on_found(call, reply);
	} else if (redis_reply_count(reply) == DEVICE_FIELDS) {
		redis_cancel(&query->slot_call);
		device_register(&pin->registration, pin->redis, &pin->device, &pin->limits);
	} else {
		on_found(call, reply);
	}
}

void device_find_or_pin(struct device_query *query, struct redis *redis, const struct device *pin,
                        const struct device_limits *limits)
{
	struct device_pin *copy = mem_alloc(1, sizeof(*copy));
	char node[DEVICE_HEX];

	copy->redis = redis;
	copy->limits = *limits;
	copy->query = query;
	copy->registration.done = on_pinned;
	copy->device.dialect = dialect_fpush->name;
	copy->device.component = copy->component = mem_dup(pin->component);
	copy->device.owner = copy->owner = mem_dup(pin->owner);
	copy->device.provider = copy->provider = mem_dup(pin->provider);
	copy->device.token = copy->token = mem_dup(pin->token);
	query->pin = copy;
	device_key_pin(&copy->device, node);
	look(query, redis, node, on_pin_found);
}

/* ---- many ---- */

static void on_listed(struct redis_call *call, const struct redisReply *reply)
{
	struct device_query *query = container_of(call, struct device_query, device_call);
	size_t replies = redis_reply_count(reply), count = 0;
	struct device *devices;

	if (redis_reply_nil(reply) || redis_reply_error(reply) != NULL) {
		query->done(query, device_call_away(reply), NULL, 0);
		return;
	}
	devices = mem_alloc(replies + 1, sizeof(*devices));
	for (size_t i = 0; i < replies; i++)
		if (read_device(&devices[count], redis_reply_at(reply, i)))
			count++;
	query->done(query, STORED_DONE, devices, count);
	free(devices);
}

void device_list(struct device_query *query, struct redis *redis, const char *owner)
{
	struct device_arguments arguments = { 0 };

	device_argument_key(&arguments, redis, "owner:", owner);
	device_argument(&arguments, redis_prefix(redis));
	device_argument_number(&arguments, LIST_MAX);
	for (size_t i = 0; i < DEVICE_FIELDS; i++)
		device_argument(&arguments, device_field_names[i]);
	query->device_call.done = on_listed;
	device_call(redis, &query->device_call, &device_lua_list, 1, &arguments);
}
