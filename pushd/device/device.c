#include "pushd/device/device.h"

#include <assert.h>
#include <ctype.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/panic.h"
#include "common/text/hex.h"
#include "common/text/sha1.h"
#include "pushd/device/bare_jid.h"
#include "pushd/device/dialect.h"
#include "pushd/device/expire.lua.h"
#include "pushd/device/forget.lua.h"
#include "pushd/device/forget_gone.lua.h"
#include "pushd/device/leave_alias.lua.h"
#include "pushd/device/list.lua.h"
#include "pushd/device/mark_suspect.lua.h"
#include "pushd/device/record_success.lua.h"
#include "pushd/device/register.lua.h"
#include "pushd/device/remove.lua.h"
#include "pushd/device/remove_dead.lua.h"
#include "pushd/device/renew.lua.h"
#include "pushd/device/unregister.lua.h"

#define LIST_MAX 1000  /* devices that are shown of one owner, which may be a whole domain */
#define KEY_HEX 65     /* a SHA-256 as hex digits, and a NUL */
#define UNHEARD_MAX 64 /* calls under way that no caller waits for */

static struct redis_script expire_script = { expire_lua };
static struct redis_script forget_script = { forget_lua };
static struct redis_script forget_gone_script = { forget_gone_lua };
static struct redis_script leave_alias_script = { leave_alias_lua };
static struct redis_script list_script = { list_lua };
static struct redis_script mark_suspect_script = { mark_suspect_lua };
static struct redis_script record_success_script = { record_success_lua };
static struct redis_script register_script = { register_lua };
static struct redis_script remove_script = { remove_lua };
static struct redis_script remove_dead_script = { remove_dead_lua };
static struct redis_script renew_script = { renew_lua };
static struct redis_script unregister_script = { unregister_lua };

/* The fields of a device that are read, in this order. */
enum field {
	FIELD_NODE,
	FIELD_SECRET,
	FIELD_COMPONENT,
	FIELD_OWNER,
	FIELD_PROVIDER,
	FIELD_TOKEN,
	FIELD_SECOND_TOKEN,
	FIELD_DEVICE_ID,
	FIELD_CHANNEL,
	FIELD_CHANNEL_ID,
	FIELD_DIALECT,
	FIELD_ACCOUNT,
	FIELD_ALIAS,
	FIELD_ENVIRONMENT,
	FIELD_REGISTERED,
	FIELD_EXPIRES,
	FIELD_SUSPECT_DAYS,
	FIELD_PROVEN,
	FIELDS
};

static const char *const field_names[FIELDS] = {
	[FIELD_NODE] = "node",
	[FIELD_SECRET] = "secret",
	[FIELD_COMPONENT] = "component",
	[FIELD_OWNER] = "owner",
	[FIELD_PROVIDER] = "provider",
	[FIELD_TOKEN] = "token",
	[FIELD_SECOND_TOKEN] = "second_token",
	[FIELD_DEVICE_ID] = "device_id",
	[FIELD_CHANNEL] = "channel",
	[FIELD_CHANNEL_ID] = "channel_id",
	[FIELD_DIALECT] = "dialect",
	[FIELD_ACCOUNT] = "account",
	[FIELD_ALIAS] = "alias",
	[FIELD_ENVIRONMENT] = "environment",
	[FIELD_REGISTERED] = "registered",
	[FIELD_EXPIRES] = "expires",
	[FIELD_SUSPECT_DAYS] = "suspect_days",
	[FIELD_PROVEN] = "proven",
};

static bool complained; /* Redis's last error was logged */
static struct redis_call unheard[UNHEARD_MAX];

bool device_has_secret(const struct device *device)
{
	const struct dialect *dialect = dialect_find(device->dialect);

	return dialect == NULL || dialect->has_secret;
}

struct provider_device device_for_provider(const struct device *device, enum conf_content content)
{
	static const struct dialect plain = { .name = "", .content = CONF_CONTENT_FULL };
	const struct dialect *dialect = dialect_find(device->dialect);

	if (dialect == NULL)
		dialect = &plain;
	return (struct provider_device){
		.node = device->node,
		.token = device->token,
		.second_token = device->second_token,
		.account = dialect->domain_owns ? NULL : device->account,
		.channel = device->channel_id,
		.content = content == CONF_CONTENT_DIALECT ? dialect->content : content,
	};
}

/* ---- the names under which devices are found ---- */

/* 128 random bits: a node, a secret. */
static void make_random(char hex[DEVICE_HEX])
{
	unsigned char bytes[DEVICE_HEX / 2];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		panic("RAND_bytes failed");
	hex_write(hex, bytes, sizeof(bytes));
}

bool device_is_node(const char *text)
{
	return hex_is(text, DEVICE_HEX - 1);
}

static void hash(const void *bytes, size_t len, char hex[KEY_HEX])
{
	unsigned char sum[SHA256_DIGEST_LENGTH];

	SHA256(bytes, len, sum);
	hex_write(hex, sum, sizeof(sum));
}

/*
 * Two registrations with the same key are the same device: component, owner, provider, and the
 * device's id where the dialect has one, with the room's channel if that is registered; else the
 * token.
 */
static void hash_key(const struct device *device, char hex[KEY_HEX])
{
	const struct dialect *dialect = dialect_find(device->dialect);
	bool by_id = dialect != NULL && dialect->by_device_id && device->device_id != NULL;
	const char *parts[] = { device->component,
		                device->owner,
		                device->provider,
		                by_id ? "id" : "token",
		                by_id ? device->device_id : device->token,
		                by_id && device->channel != NULL ? "channel" : NULL,
		                device->channel };
	struct buf text = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(parts) && parts[i] != NULL; i++)
		buf_append(&text, parts[i], strlen(parts[i]) + 1);
	hash(buf_data(&text), buf_len(&text), hex);
	buf_release(&text);
}

/*
 * The node of an implicit registration, whose publishes carry the token: the beginning of its key's
 * hash.
 */
static void make_implicit_node(const struct device *device, char node[DEVICE_HEX])
{
	char hex[KEY_HEX];

	hash_key(device, hex);
	memcpy(node, hex, DEVICE_HEX - 1);
	node[DEVICE_HEX - 1] = '\0';
}

/* The key that marks a token (TOKEN: its hash) as dead. remove_dead.lua makes it likewise. */
static void hash_dead(const char *provider, const char *token, char hex[SHA1_TEXT_SIZE])
{
	char *text = mem_printf("%s:%s", provider, token);

	sha1_text(text, strlen(text), hex);
	free(text);
}

/*
 * The hash is of the token in lower case: apps write APNs's hex in upper or lower case, and without
 * a provider in the request it isn't known whether the token is hex.
 */
static void hash_token(const char *token, char hex[KEY_HEX])
{
	char *lower = mem_dup(token);

	for (char *c = lower; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	hash(lower, strlen(lower), hex);
	mem_free_secret(lower);
}

/* ---- scripts ---- */

/* The arguments of a script, with the texts that were made for it. All zeros: none. */
struct arguments {
	const char *values[48];
	size_t count;
	char *owned[16];
	size_t owned_count;
};

static void add(struct arguments *arguments, const char *value)
{
	assert(arguments->count < ARRAY_LEN(arguments->values));
	arguments->values[arguments->count++] = value;
}

/* VALUE is on the heap. */
static void own(struct arguments *arguments, char *value)
{
	assert(arguments->owned_count < ARRAY_LEN(arguments->owned));
	arguments->owned[arguments->owned_count++] = value;
	add(arguments, value);
}

static void add_number(struct arguments *arguments, int64_t number)
{
	own(arguments, mem_printf("%lld", (long long)number));
}

/* A field's name and value, unless VALUE is NULL. */
static void add_field(struct arguments *arguments, enum field field, const char *value)
{
	if (value == NULL)
		return;
	add(arguments, field_names[field]);
	add(arguments, value);
}

/* The key `push:WHATNAME` with our prefix, on the heap. */
static char *make_key(struct redis *redis, const char *what, const char *name)
{
	return mem_printf("%spush:%s%s", redis_prefix(redis), what, name);
}

static void add_key(struct arguments *arguments, struct redis *redis, const char *what,
                    const char *name)
{
	own(arguments, make_key(redis, what, name));
}

static void release(struct arguments *arguments)
{
	while (arguments->owned_count > 0)
		free(arguments->owned[--arguments->owned_count]);
}

/* Runs SCRIPT and frees what ARGUMENTS own; the first KEYS of them are keys. */
static void run(struct redis *redis, struct redis_call *call, struct redis_script *script,
                size_t keys, struct arguments *arguments)
{
	redis_eval(redis, call, script,
	           &(struct redis_args){ keys, arguments->count, arguments->values });
	release(arguments);
}

/* Logs Redis's error once, until it serves again. */
static enum device_result fail(const struct redisReply *reply)
{
	redis_log_error(reply, "storage-refused", &complained);
	return DEVICE_UNAVAILABLE;
}

static void served(void)
{
	complained = false;
}

static void on_unheard(struct redis_call *call, const struct redisReply *reply)
{
	if (redis_reply_error(reply) != NULL)
		fail(reply);
}

/* The same for a call that no caller waits for; dropped while UNHEARD_MAX are under way. */
static void run_unheard(struct redis *redis, struct redis_script *script, size_t keys,
                        struct arguments *arguments)
{
	for (size_t i = 0; i < UNHEARD_MAX; i++)
		if (!redis_busy(&unheard[i])) {
			unheard[i].done = on_unheard;
			run(redis, &unheard[i], script, keys, arguments);
			return;
		}
	release(arguments);
}

/* ---- registering ---- */

static void on_registered(struct redis_call *call, const struct redisReply *reply)
{
	struct device_registration *registration =
	        container_of(call, struct device_registration, call);
	const char *node = redis_reply_string(redis_reply_at(reply, 0), NULL);
	const char *secret = redis_reply_string(redis_reply_at(reply, 1), NULL);
	int64_t refusal = redis_reply_integer(reply, 1);

	if (refusal == 0) {
		registration->done(registration, DEVICE_ABSENT);
		return;
	}
	if (refusal < 0 && refusal >= -DEVICE_LIMIT_COUNT) {
		registration->limit = (enum device_limit)(-refusal - 1);
		registration->done(registration, DEVICE_LIMIT);
		return;
	}
	if (node == NULL || secret == NULL || strlen(node) >= DEVICE_HEX ||
	    strlen(secret) >= DEVICE_HEX) {
		registration->done(registration, fail(reply));
		return;
	}
	memcpy(registration->node, node, strlen(node) + 1);
	memcpy(registration->secret, secret, strlen(secret) + 1);
	registration->created = redis_reply_integer(redis_reply_at(reply, 2), 0) == 1;
	registration->evicted = (unsigned)redis_reply_integer(redis_reply_at(reply, 3), 0);
	registration->done(registration, DEVICE_DONE);
}

/*
 * By what the app of DEVICE knows JID (NULL: nothing). p2's apps compare SHA-1 over the bare JID,
 * NUL and the device's id with their own; TEXT is where that goes.
 */
static const char *hide(const struct device *device, const char *jid, char text[SHA1_TEXT_SIZE])
{
	const struct dialect *dialect = dialect_find(device->dialect);
	struct buf parts = { 0 };

	if (jid == NULL || !dialect->hides_owner || device->device_id == NULL)
		return jid;
	buf_append(&parts, jid, strlen(jid) + 1);
	buf_text(&parts, device->device_id);
	sha1_text(buf_data(&parts), buf_len(&parts), text);
	buf_release(&parts);
	return text;
}

static void add_fields(struct arguments *arguments, const struct device *device,
                       const char *account, const char *channel_id)
{
	add_field(arguments, FIELD_COMPONENT, device->component);
	add_field(arguments, FIELD_OWNER, device->owner);
	add_field(arguments, FIELD_PROVIDER, device->provider);
	add_field(arguments, FIELD_TOKEN, device->token);
	add_field(arguments, FIELD_SECOND_TOKEN, device->second_token);
	add_field(arguments, FIELD_DEVICE_ID, device->device_id);
	add_field(arguments, FIELD_CHANNEL, device->channel);
	add_field(arguments, FIELD_CHANNEL_ID, channel_id);
	add_field(arguments, FIELD_DIALECT, device->dialect);
	add_field(arguments, FIELD_ACCOUNT, account);
}

void device_register(struct device_registration *registration, struct redis *redis,
                     const struct device *device, const struct device_limits *limits)
{
	const struct dialect *dialect = dialect_find(device->dialect);
	char key[KEY_HEX], token[KEY_HEX], dead[SHA1_TEXT_SIZE];
	char account[SHA1_TEXT_SIZE], channel_id[SHA1_TEXT_SIZE];
	struct arguments arguments = { 0 };

	hash_key(device, key);
	hash_token(device->token, token);
	if (dialect->registers)
		make_random(registration->node);
	else
		make_implicit_node(device, registration->node);
	make_random(registration->secret);
	hash_dead(device->provider, token, dead);
	add_key(&arguments, redis, "key:", key);
	add_key(&arguments, redis, "token:", token);
	add_key(&arguments, redis, "owner:", device->owner);
	add_key(&arguments, redis, "dead:", dead);
	add_key(&arguments, redis, "due:", bare_jid_domain(device->owner));
	add(&arguments, redis_prefix(redis));
	add(&arguments, registration->node);
	add(&arguments, registration->secret);
	add_number(&arguments, limits->per_token);
	add_number(&arguments, dialect->domain_owns ? 0 : limits->per_owner);
	add(&arguments, key);
	add(&arguments, token);
	add_number(&arguments, dialect->renews ? limits->ttl_ms : 0);
	add(&arguments, dialect->registers ? "0" : "1");
	add(&arguments, device->alias != NULL ? device->alias : "");
	add_number(&arguments, DEVICE_ALIAS_MAX);
	add_number(&arguments, limits->all);
	add_number(&arguments, limits->per_domain);
	add_number(&arguments, limits->domain_rate);
	add_number(&arguments, limits->domain_burst);
	add(&arguments, device->owner);
	add_fields(&arguments, device, hide(device, device->owner, account),
	           hide(device, device->channel, channel_id));
	registration->call.done = on_registered;
	run(redis, &registration->call, &register_script, 5, &arguments);
}

/* ---- removing ---- */

static void on_removed(struct redis_call *call, const struct redisReply *reply)
{
	struct device_removal *removal = container_of(call, struct device_removal, call);
	int64_t count;

	removal->count = 0;
	if (redis_reply_nil(reply) || redis_reply_error(reply) != NULL) {
		removal->done(removal, fail(reply));
		return;
	}
	count = redis_reply_integer(reply, 0);
	removal->count = count > 0 ? (unsigned)count : 0;
	removal->done(removal, count > 0 ? DEVICE_DONE : count == 0 ? DEVICE_ABSENT : DEVICE_NEWER);
}

void device_unregister(struct device_removal *removal, struct redis *redis,
                       const struct device *device)
{
	struct arguments arguments = { 0 };
	char token[KEY_HEX];

	if (device->token != NULL) {
		hash_token(device->token, token);
		add_key(&arguments, redis, "token:", token);
	} else {
		add_key(&arguments, redis, "owner:", device->owner);
	}
	add(&arguments, redis_prefix(redis));
	add(&arguments, device->owner);
	add(&arguments, device->component != NULL ? device->component : "");
	add(&arguments, device->provider != NULL ? device->provider : "");
	add(&arguments, device->token == NULL ? device->device_id : "");
	add(&arguments, device->channel_id != NULL ? device->channel_id : "");
	removal->call.done = on_removed;
	run(redis, &removal->call, &unregister_script, 1, &arguments);
}

void device_forget(struct device_removal *removal, struct redis *redis, const char *owner,
                   unsigned most)
{
	struct arguments arguments = { 0 };

	add_key(&arguments, redis, "owner:", owner);
	add(&arguments, redis_prefix(redis));
	add_number(&arguments, most);
	removal->call.done = on_removed;
	run(redis, &removal->call, &forget_script, 1, &arguments);
}

static void on_gone_forgotten(struct redis_call *call, const struct redisReply *reply)
{
	struct device_removal *removal = container_of(call, struct device_removal, call);
	const char *last = redis_reply_string(redis_reply_at(reply, 1), NULL);
	bool again = last != NULL && strcmp(last, removal->last) == 0; /* then it would never end */

	removal->count = 0;
	removal->last[0] = '\0';
	if (redis_reply_count(reply) == 0 || again) {
		removal->done(removal, fail(reply));
		return;
	}
	removal->count = (unsigned)redis_reply_integer(redis_reply_at(reply, 0), 0);
	snprintf(removal->last, sizeof(removal->last), "%s", last != NULL ? last : "");
	removal->done(removal, DEVICE_DONE);
}

void device_forget_gone(struct device_removal *removal, struct redis *redis, const char *owner,
                        unsigned most)
{
	struct arguments arguments = { 0 };
	char from[sizeof(removal->last) + 1] = "-";

	if (removal->last[0] != '\0')
		snprintf(from, sizeof(from), "(%s", removal->last);
	add_key(&arguments, redis, "gone", "");
	add(&arguments, owner);
	add(&arguments, from);
	add_number(&arguments, most);
	removal->call.done = on_gone_forgotten;
	run(redis, &removal->call, &forget_gone_script, 1, &arguments);
}

void device_remove(struct device_removal *removal, struct redis *redis, const char *node)
{
	struct arguments arguments = { 0 };

	add(&arguments, redis_prefix(redis));
	add(&arguments, node);
	removal->call.done = on_removed;
	run(redis, &removal->call, &remove_script, 0, &arguments);
}

/*
 * Removes DEVICE, or from it the token in FIELD if that is the second one, unless it has registered
 * after MS[0]. MS[1]: how long the token is marked as dead; 0: it isn't, and other devices with
 * this token stay.
 */
static void remove_token(struct device_removal *removal, struct redis *redis,
                         const struct device *device, enum field field, const int64_t ms[2])
{
	struct arguments arguments = { 0 };

	add_key(&arguments, redis, "device:", device->node);
	add(&arguments, redis_prefix(redis));
	add(&arguments, device->node);
	add_field(&arguments, field, field == FIELD_TOKEN ? device->token : device->second_token);
	add_number(&arguments, ms[0]);
	add_number(&arguments, ms[1]);
	add(&arguments, dialect_fpush->name);
	removal->call.done = on_removed;
	run(redis, &removal->call, &remove_dead_script, 1, &arguments);
}

void device_remove_dead(struct device_removal *removal, struct redis *redis,
                        const struct device *device, bool second, int64_t before_ms)
{
	remove_token(removal, redis, device, second ? FIELD_SECOND_TOKEN : FIELD_TOKEN,
	             (int64_t[]){ before_ms, DEVICE_DEAD_MS });
}

void device_remove_if_unchanged(struct device_removal *removal, struct redis *redis,
                                const struct device *device)
{
	remove_token(removal, redis, device, FIELD_TOKEN, (int64_t[]){ device->registered_ms, 0 });
}

void device_expire(struct device_removal *removal, struct redis *redis, unsigned most)
{
	struct arguments arguments = { 0 };

	add(&arguments, redis_prefix(redis));
	add_number(&arguments, most);
	removal->call.done = on_removed;
	run(redis, &removal->call, &expire_script, 0, &arguments);
}

/* ---- the verdicts on its token ---- */

static void on_suspected(struct redis_call *call, const struct redisReply *reply)
{
	struct device_suspicion *suspicion = container_of(call, struct device_suspicion, call);
	int64_t days = redis_reply_integer(reply, 0);

	suspicion->days = days > 0 ? (unsigned)days : 0;
	if (redis_reply_nil(reply) || redis_reply_error(reply) != NULL)
		suspicion->done(suspicion, fail(reply));
	else
		suspicion->done(suspicion, days > 0    ? DEVICE_DONE
		                           : days == 0 ? DEVICE_ABSENT
		                                       : DEVICE_NEWER);
}

void device_mark_suspect(struct device_suspicion *suspicion, struct redis *redis,
                         const struct device *device)
{
	struct arguments arguments = { 0 };

	add_key(&arguments, redis, "device:", device->node);
	add(&arguments, redis_prefix(redis));
	add(&arguments, device->token);
	suspicion->call.done = on_suspected;
	run(redis, &suspicion->call, &mark_suspect_script, 1, &arguments);
}

void device_record_success(struct redis *redis, const struct device *device,
                           const char *environment)
{
	struct arguments arguments = { 0 };
	const char *known = device->environment;
	bool news = environment != NULL && (known == NULL || strcmp(known, environment) != 0);

	if (!news && device->proven && device->suspect_days == 0)
		return;
	add_key(&arguments, redis, "device:", device->node);
	add(&arguments, redis_prefix(redis));
	add(&arguments, device->token);
	add(&arguments, news ? environment : "");
	run_unheard(redis, &record_success_script, 1, &arguments);
}

/* ---- looking ---- */

/* The device that is registered if none is found; its texts are on the heap. */
struct implicit {
	struct redis *redis;
	struct device device;
	struct device_limits limits;
	struct device_registration registration;
	struct device_query *query; /* whose this is */
	char *component, *owner, *provider, *token, *alias;
};

static void free_implicit(struct device_query *query)
{
	struct implicit *implicit = query->implicit;

	if (implicit == NULL)
		return;
	query->implicit = NULL;
	redis_cancel(&implicit->registration.call);
	free(implicit->component);
	free(implicit->owner);
	free(implicit->provider);
	mem_free_secret(implicit->token);
	mem_free_secret(implicit->alias);
	free(implicit);
}

static void finish(struct device_query *query, enum device_result result,
                   const struct device *device)
{
	free_implicit(query);
	query->done(query, result, device, device != NULL ? 1 : 0);
}

void device_query_cancel(struct device_query *query)
{
	redis_cancel(&query->slot_call);
	redis_cancel(&query->device_call);
	free_implicit(query);
}

/* ---- one ---- */

/* False unless REPLY holds the fields of a device. */
static bool read_device(struct device *device, const struct redisReply *reply)
{
	const char *values[FIELDS];

	if (redis_reply_count(reply) != FIELDS)
		return false;
	for (size_t i = 0; i < FIELDS; i++)
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
		.channel = values[FIELD_CHANNEL],
		.channel_id = values[FIELD_CHANNEL_ID],
		.dialect = values[FIELD_DIALECT],
		.account = values[FIELD_ACCOUNT],
		.alias = values[FIELD_ALIAS],
		.environment = values[FIELD_ENVIRONMENT],
		/* Those of older versions have the environment alone. */
		.proven = values[FIELD_PROVEN] != NULL || values[FIELD_ENVIRONMENT] != NULL,
		.registered_ms = redis_reply_time_ms(redis_reply_at(reply, FIELD_REGISTERED)),
		.expires_ms = redis_reply_time_ms(redis_reply_at(reply, FIELD_EXPIRES)),
		.suspect_days =
		        (unsigned)redis_reply_integer(redis_reply_at(reply, FIELD_SUSPECT_DAYS), 0),
	};
	return device->node != NULL && device->secret != NULL && device->component != NULL &&
	       device->owner != NULL && device->provider != NULL && device->token != NULL &&
	       device->dialect != NULL && device->account != NULL;
}

/* The same, of the device that QUERY asked for. */
static bool read_asked(const struct device_query *query, struct device *device,
                       const struct redisReply *reply)
{
	return read_device(device, reply) && strcmp(device->node, query->node) == 0;
}

/* True if REPLY says that the device isn't there, and not that it is another or half of one. */
static bool is_absent(const struct redisReply *reply)
{
	size_t i = 0;

	while (i < redis_reply_count(reply) && redis_reply_nil(redis_reply_at(reply, i)))
		i++;
	return i == FIELDS && redis_reply_count(reply) == FIELDS;
}

static void on_slot(struct redis_call *call, const struct redisReply *reply)
{
	struct device_query *query = container_of(call, struct device_query, slot_call);

	query->waiting = redis_reply_integer(reply, 0) == 1;
}

static void query_device(struct device_query *query, struct redis *redis, const char *node,
                         void (*done)(struct redis_call *call, const struct redisReply *reply))
{
	char *key = make_key(redis, "device:", node);
	char *slot = make_key(redis, "slot:", node);
	const char *fields[2 + FIELDS] = { "HMGET", key };

	snprintf(query->node, sizeof(query->node), "%s", node);
	query->waiting = false;
	query->slot_call.done = on_slot;
	query->device_call.done = done;
	memcpy(fields + 2, field_names, sizeof(field_names));
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
	if (read_asked(query, &device, reply)) {
		served();
		finish(query, DEVICE_DONE, &device);
	} else if (is_absent(reply)) {
		finish(query, DEVICE_ABSENT, NULL);
	} else {
		finish(query, fail(reply), NULL);
	}
}

void device_find(struct device_query *query, struct redis *redis, const char *node)
{
	query_device(query, redis, node, on_found);
}

/* ---- those of an alias ---- */

/* True when REPLY has their nodes; then the query is done. */
static bool finish_alias(struct device_query *query, const struct redisReply *reply)
{
	struct device devices[DEVICE_ALIAS_MAX] = { 0 };
	size_t count = redis_reply_count(reply);

	if (count == 0 || count > DEVICE_ALIAS_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		devices[i].node = redis_reply_string(redis_reply_at(reply, i), NULL);
		if (devices[i].node == NULL)
			return false;
	}
	served();
	free_implicit(query);
	query->done(query, DEVICE_ALIAS, devices, count);
	return true;
}

/* True if REPLY can't be that there are none: a reply of another kind, or members that are none. */
static bool is_no_alias(const struct redisReply *reply)
{
	return redis_reply_nil(reply) || redis_reply_error(reply) != NULL ||
	       redis_reply_string(reply, NULL) != NULL || redis_reply_integer(reply, 0) != 0 ||
	       redis_reply_count(reply) > 0;
}

static void query_alias(struct device_query *query, struct redis *redis, const char *name,
                        void (*done)(struct redis_call *call, const struct redisReply *reply))
{
	char *key = make_key(redis, "alias:", name);

	query->device_call.done = done;
	redis_send(redis, &query->device_call, 2, (const char *[]){ "SMEMBERS", key }, NULL);
	free(key);
}

static void on_alias(struct redis_call *call, const struct redisReply *reply)
{
	struct device_query *query = container_of(call, struct device_query, device_call);

	if (finish_alias(query, reply))
		return;
	if (is_no_alias(reply))
		finish(query, fail(reply), NULL);
	else
		finish(query, DEVICE_ABSENT, NULL);
}

void device_find_alias(struct device_query *query, struct redis *redis, const char *name)
{
	query_alias(query, redis, name, on_alias);
}

void device_leave_alias(struct redis *redis, const struct device *device)
{
	struct arguments arguments = { 0 };

	add_key(&arguments, redis, "device:", device->node);
	add_key(&arguments, redis, "alias:", device->alias);
	add(&arguments, redis_prefix(redis));
	add(&arguments, device->node);
	add(&arguments, device->alias);
	run_unheard(redis, &leave_alias_script, 2, &arguments);
}

/* ---- one that its first publish registers ---- */

static void on_implicit_registered(struct device_registration *registration,
                                   enum device_result result)
{
	struct implicit *implicit = container_of(registration, struct implicit, registration);
	struct device_query *query = implicit->query;

	if (result == DEVICE_DONE)
		device_find(query, implicit->redis, registration->node);
	else
		finish(query, result, NULL);
}

/* A publish shows that the device is still wanted. */
static void renew(struct redis *redis, const char *node, int64_t ttl_ms)
{
	struct arguments arguments = { 0 };

	add_key(&arguments, redis, "device:", node);
	add_key(&arguments, redis, "expiry", "");
	add(&arguments, redis_prefix(redis));
	add(&arguments, node);
	add_number(&arguments, ttl_ms);
	run_unheard(redis, &renew_script, 2, &arguments);
}

static void register_implicit(struct implicit *implicit)
{
	device_register(&implicit->registration, implicit->redis, &implicit->device,
	                &implicit->limits);
}

/* What a server calls devices that came from elsewhere isn't a token. */
static void on_implicit_alias(struct redis_call *call, const struct redisReply *reply)
{
	struct device_query *query = container_of(call, struct device_query, device_call);
	struct implicit *implicit = query->implicit;

	if (finish_alias(query, reply))
		return;
	if (is_no_alias(reply))
		finish(query, fail(reply), NULL);
	else
		register_implicit(implicit);
}

static void on_implicit_found(struct redis_call *call, const struct redisReply *reply)
{
	struct device_query *query = container_of(call, struct device_query, device_call);
	struct implicit *implicit = query->implicit;
	struct device device;

	if (read_asked(query, &device, reply)) {
		if (device.expires_ms - loop_wall_ms() < implicit->limits.ttl_ms / 2)
			renew(implicit->redis, device.node, implicit->limits.ttl_ms);
		on_found(call, reply);
	} else if (is_absent(reply)) {
		redis_cancel(&query->slot_call);
		if (implicit->alias != NULL)
			query_alias(query, implicit->redis, implicit->alias, on_implicit_alias);
		else
			register_implicit(implicit);
	} else {
		on_found(call, reply);
	}
}

void device_find_or_register(struct device_query *query, struct redis *redis,
                             const struct device *device, const struct device_limits *limits)
{
	struct implicit *copy = mem_alloc(1, sizeof(*copy));
	char node[DEVICE_HEX];

	copy->redis = redis;
	copy->limits = *limits;
	copy->query = query;
	copy->registration.done = on_implicit_registered;
	copy->device.dialect = dialect_fpush->name;
	copy->device.component = copy->component = mem_dup(device->component);
	copy->device.owner = copy->owner = mem_dup(device->owner);
	copy->device.provider = copy->provider = mem_dup(device->provider);
	copy->device.token = copy->token = mem_dup(device->token);
	copy->alias = mem_dup(device->alias);
	query->implicit = copy;
	make_implicit_node(&copy->device, node);
	query_device(query, redis, node, on_implicit_found);
}

/* ---- many ---- */

static void on_listed(struct redis_call *call, const struct redisReply *reply)
{
	struct device_query *query = container_of(call, struct device_query, device_call);
	size_t replies = redis_reply_count(reply), count = 0;
	struct device *devices;

	if (redis_reply_nil(reply) || redis_reply_error(reply) != NULL) {
		query->done(query, fail(reply), NULL, 0);
		return;
	}
	devices = mem_alloc(replies + 1, sizeof(*devices));
	for (size_t i = 0; i < replies; i++)
		if (read_device(&devices[count], redis_reply_at(reply, i)))
			count++;
	query->done(query, DEVICE_DONE, devices, count);
	free(devices);
}

void device_list(struct device_query *query, struct redis *redis, const char *owner)
{
	struct arguments arguments = { 0 };

	add_key(&arguments, redis, "owner:", owner);
	add(&arguments, redis_prefix(redis));
	add_number(&arguments, LIST_MAX);
	for (size_t i = 0; i < FIELDS; i++)
		add(&arguments, field_names[i]);
	query->device_call.done = on_listed;
	run(redis, &query->device_call, &list_script, 1, &arguments);
}
