#include "pushd/device.h"

#include <assert.h>
#include <ctype.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sha1.h"
#include "pushd/device_lua.h"

#define DIALECT_WITH_SECRET "p2"

/* The fields of a device, in the order in which they are read. */
enum field {
	FIELD_NODE,
	FIELD_SECRET,
	FIELD_COMPONENT,
	FIELD_OWNER,
	FIELD_PROVIDER,
	FIELD_TOKEN,
	FIELD_SECOND_TOKEN,
	FIELD_DEVICE_ID,
	FIELD_DIALECT,
	FIELD_ACCOUNT,
	FIELD_ENVIRONMENT,
	FIELD_REGISTERED,
	FIELD_EXPIRES,
	FIELD_SUSPECT_DAYS,
	FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = {
	"node",      "secret",  "component", "owner",       "provider",   "token",   "second_token",
	"device_id", "dialect", "account",   "environment", "registered", "expires", "suspect_days",
};

static bool complained; /* Redis's last error was logged */

bool device_has_secret(const struct device *device)
{
	return device->dialect != NULL && strcmp(device->dialect, DIALECT_WITH_SECRET) == 0;
}

static void write_hex(char *hex, const unsigned char *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*hex++ = digits[bytes[i] >> 4];
		*hex++ = digits[bytes[i] & 15];
	}
	*hex = '\0';
}

static void make_random(char hex[DEVICE_HEX])
{
	unsigned char bytes[DEVICE_HEX / 2];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		abort();
	write_hex(hex, bytes, sizeof(bytes));
}

/* ---- keys ---- */

#define HASH_HEX (2 * SHA256_DIGEST_LENGTH + 1)

/*
 * What makes two registrations the same device: component, owner, provider, and the device's id
 * where the dialect has one, else the token.
 */
static void hash_key(const struct device *device, char hex[HASH_HEX])
{
	bool by_id = device->device_id != NULL;
	const char *parts[] = { device->component, device->owner, device->provider,
		                by_id ? "id" : "token", by_id ? device->device_id : device->token };
	unsigned char hash[SHA256_DIGEST_LENGTH];
	struct buf text = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		buf_append(&text, parts[i], strlen(parts[i]) + 1);
	SHA256((const unsigned char *)buf_data(&text), buf_len(&text), hash);
	buf_release(&text);
	write_hex(hex, hash, sizeof(hash));
}

/*
 * In lower case, since the hex of APNs comes in either and who unregisters may not name the kind.
 */
static void hash_token(const char *token, char hex[HASH_HEX])
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	char *lower = mem_dup(token);

	for (char *c = lower; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	SHA256((const unsigned char *)lower, strlen(lower), hash);
	free(lower);
	write_hex(hex, hash, sizeof(hash));
}

/* The arguments of a script, with the texts that were made for it. */
struct arguments {
	const char *values[48];
	size_t count;
	char *owned[8];
	size_t owned_count;
};

static void add(struct arguments *arguments, const char *value)
{
	assert(arguments->count < ARRAY_LEN(arguments->values));
	arguments->values[arguments->count++] = value;
}

static void add_owned(struct arguments *arguments, char *value)
{
	assert(arguments->owned_count < ARRAY_LEN(arguments->owned));
	arguments->owned[arguments->owned_count++] = value;
	add(arguments, value);
}

/* Fields that a device doesn't have are left out. */
static void add_field(struct arguments *arguments, enum field field, const char *value)
{
	if (value == NULL)
		return;
	add(arguments, field_names[field]);
	add(arguments, value);
}

static char *make_key(struct redis *redis, const char *what, const char *name)
{
	return mem_printf("%spush:%s%s", redis_prefix(redis), what, name);
}

static void run(struct redis *redis, struct redis_call *call, struct redis_script *script,
                size_t keys, struct arguments *arguments)
{
	redis_eval(redis, call, script,
	           &(struct redis_args){ keys, arguments->count, arguments->values });
	for (size_t i = 0; i < arguments->owned_count; i++)
		free(arguments->owned[i]);
}

/* Says once what Redis has against us, until it serves again. */
static enum stored away(const struct redisReply *reply)
{
	const char *error = redis_reply_error(reply);

	if (error != NULL && !complained)
		log_error("storage-refused error=\"%s\"", error);
	complained = complained || error != NULL;
	return STORED_AWAY;
}

/* ---- registering ---- */

static void on_registered(struct redis_call *call, const struct redisReply *reply)
{
	struct device_registration *registration =
	        container_of(call, struct device_registration, call);
	const char *node = redis_reply_string(redis_reply_at(reply, 0), NULL);
	const char *secret = redis_reply_string(redis_reply_at(reply, 1), NULL);

	if (node == NULL || secret == NULL || strlen(node) >= DEVICE_HEX ||
	    strlen(secret) >= DEVICE_HEX) {
		registration->done(registration, away(reply));
		return;
	}
	memcpy(registration->node, node, strlen(node) + 1);
	memcpy(registration->secret, secret, strlen(secret) + 1);
	registration->created = redis_reply_integer(redis_reply_at(reply, 2), 0) == 1;
	registration->evicted = (unsigned)redis_reply_integer(redis_reply_at(reply, 3), 0);
	registration->done(registration, STORED_DONE);
}

/* What p2's apps compare with their own: SHA-1 over the bare JID, NUL and the device's id. */
static const char *make_account(const struct device *device, char text[SHA1_TEXT_SIZE])
{
	struct buf parts = { 0 };

	if (!device_has_secret(device) || device->device_id == NULL)
		return device->owner;
	buf_append(&parts, device->owner, strlen(device->owner) + 1);
	buf_text(&parts, device->device_id);
	sha1_text(buf_data(&parts), buf_len(&parts), text);
	buf_release(&parts);
	return text;
}

void device_register(struct device_registration *registration, struct redis *redis,
                     const struct device *device, const struct device_limits *limits)
{
	char key[HASH_HEX], token[HASH_HEX], account[SHA1_TEXT_SIZE];
	struct arguments arguments = { 0 };

	hash_key(device, key);
	hash_token(device->token, token);
	make_random(registration->node);
	make_random(registration->secret);
	add_owned(&arguments, make_key(redis, "key:", key));
	add_owned(&arguments, make_key(redis, "token:", token));
	add_owned(&arguments, make_key(redis, "owner:", device->owner));
	add_owned(&arguments, make_key(redis, "", ""));
	add(&arguments, registration->node);
	add(&arguments, registration->secret);
	add_owned(&arguments, mem_printf("%lld", (long long)limits->per_token));
	add_owned(&arguments, mem_printf("%lld", (long long)limits->per_owner));
	add(&arguments, key);
	add(&arguments, token);
	add_field(&arguments, FIELD_COMPONENT, device->component);
	add_field(&arguments, FIELD_OWNER, device->owner);
	add_field(&arguments, FIELD_PROVIDER, device->provider);
	add_field(&arguments, FIELD_TOKEN, device->token);
	add_field(&arguments, FIELD_SECOND_TOKEN, device->second_token);
	add_field(&arguments, FIELD_DEVICE_ID, device->device_id);
	add_field(&arguments, FIELD_DIALECT, device->dialect);
	add_field(&arguments, FIELD_ACCOUNT, make_account(device, account));
	registration->call.done = on_registered;
	run(redis, &registration->call, &device_lua_register, 3, &arguments);
}

/* ---- looking ---- */

/* False unless REPLY holds the fields of a device. */
static bool read_device(struct device *device, const struct redisReply *reply)
{
	const char *values[FIELD_COUNT];

	if (redis_reply_count(reply) != FIELD_COUNT)
		return false;
	for (size_t i = 0; i < FIELD_COUNT; i++)
		values[i] = redis_reply_string(redis_reply_at(reply, i), NULL);
	*device = (struct device){
		.node = values[FIELD_NODE],
		.secret = values[FIELD_SECRET],
		.component = values[FIELD_COMPONENT],
		.owner = values[FIELD_OWNER],
		.provider = values[FIELD_PROVIDER],
		.token = values[FIELD_TOKEN],
		.second_token = values[FIELD_SECOND_TOKEN],
		.device_id = values[FIELD_DEVICE_ID],
		.dialect = values[FIELD_DIALECT],
		.account = values[FIELD_ACCOUNT],
		.environment = values[FIELD_ENVIRONMENT],
		.registered_ms = redis_reply_integer(redis_reply_at(reply, FIELD_REGISTERED), 0),
		.expires_ms = redis_reply_integer(redis_reply_at(reply, FIELD_EXPIRES), 0),
		.suspect_days =
		        (unsigned)redis_reply_integer(redis_reply_at(reply, FIELD_SUSPECT_DAYS), 0),
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

static void on_found(struct redis_call *call, const struct redisReply *reply)
{
	struct device_query *query = container_of(call, struct device_query, device_call);
	struct device device;

	redis_cancel(&query->slot_call);
	if (read_device(&device, reply)) {
		complained = false;
		query->done(query, STORED_DONE, &device, 1);
	} else if (redis_reply_count(reply) == FIELD_COUNT) {
		query->done(query, STORED_ABSENT, NULL, 0);
	} else {
		query->done(query, away(reply), NULL, 0);
	}
}

void device_find(struct device_query *query, struct redis *redis, const char *node)
{
	const char *argv[2 + FIELD_COUNT] = { "EXISTS" };
	char *key = make_key(redis, "device:", node), *slot = make_key(redis, "slot:", node);

	query->waiting = false;
	query->slot_call.done = on_slot;
	query->device_call.done = on_found;
	argv[1] = slot;
	redis_send(redis, &query->slot_call, 2, argv, NULL);
	argv[0] = "HMGET";
	argv[1] = key;
	memcpy(argv + 2, field_names, sizeof(field_names));
	redis_send(redis, &query->device_call, ARRAY_LEN(argv), argv, NULL);
	free(slot);
	free(key);
}

void device_query_cancel(struct device_query *query)
{
	redis_cancel(&query->slot_call);
	redis_cancel(&query->device_call);
}

bool device_query_busy(const struct device_query *query)
{
	return redis_busy(&query->device_call);
}

static void on_listed(struct redis_call *call, const struct redisReply *reply)
{
	struct device_query *query = container_of(call, struct device_query, device_call);
	size_t replies = redis_reply_count(reply), count = 0;
	struct device *devices;

	if (redis_reply_nil(reply) || redis_reply_error(reply) != NULL) {
		query->done(query, away(reply), NULL, 0);
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
	struct arguments arguments = { 0 };

	add_owned(&arguments, make_key(redis, "owner:", owner));
	add_owned(&arguments, make_key(redis, "", ""));
	for (size_t i = 0; i < FIELD_COUNT; i++)
		add(&arguments, field_names[i]);
	query->device_call.done = on_listed;
	run(redis, &query->device_call, &device_lua_list, 1, &arguments);
}

/* ---- removing ---- */

static void on_removed(struct redis_call *call, const struct redisReply *reply)
{
	struct device_removal *removal = container_of(call, struct device_removal, call);
	int64_t count;

	removal->count = 0;
	if (redis_reply_nil(reply) || redis_reply_error(reply) != NULL) {
		removal->done(removal, away(reply));
		return;
	}
	count = redis_reply_integer(reply, 0);
	removal->count = count > 0 ? (unsigned)count : 0;
	removal->done(removal, count > 0 ? STORED_DONE : count == 0 ? STORED_ABSENT : STORED_NEWER);
}

void device_unregister(struct device_removal *removal, struct redis *redis,
                       const struct device *device)
{
	struct arguments arguments = { 0 };
	char token[HASH_HEX];

	hash_token(device->token, token);
	add_owned(&arguments, make_key(redis, "token:", token));
	add_owned(&arguments, make_key(redis, "", ""));
	add(&arguments, device->owner);
	add(&arguments, device->component != NULL ? device->component : "");
	add(&arguments, device->provider != NULL ? device->provider : "");
	removal->call.done = on_removed;
	run(redis, &removal->call, &device_lua_unregister, 1, &arguments);
}

void device_remove(struct device_removal *removal, struct redis *redis, const char *node)
{
	struct arguments arguments = { 0 };

	add_owned(&arguments, make_key(redis, "", ""));
	add(&arguments, node);
	removal->call.done = on_removed;
	run(redis, &removal->call, &device_lua_remove, 0, &arguments);
}

void device_bury(struct device_removal *removal, struct redis *redis, const struct device *device,
                 bool second, int64_t before_ms)
{
	struct arguments arguments = { 0 };

	add_owned(&arguments, make_key(redis, "device:", device->node));
	add_owned(&arguments, make_key(redis, "", ""));
	add(&arguments, device->node);
	add(&arguments, field_names[second ? FIELD_SECOND_TOKEN : FIELD_TOKEN]);
	add(&arguments, second ? device->second_token : device->token);
	add_owned(&arguments, mem_printf("%lld", (long long)before_ms));
	removal->call.done = on_removed;
	run(redis, &removal->call, &device_lua_bury, 1, &arguments);
}
