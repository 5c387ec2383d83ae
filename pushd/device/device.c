#include "pushd/device/device.h"

#include <string.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/text/sha1.h"
#include "pushd/device/device_call.h"
#include "pushd/device/device_key.h"
#include "pushd/device/device_lua.h"
#include "pushd/device/dialect.h"

bool device_has_secret(const struct device *device)
{
	const struct dialect *dialect = dialect_find(device->dialect);

	return dialect == NULL || dialect->has_secret;
}

struct provider_device device_for_provider(const struct device *device)
{
	static const struct dialect plain = { .name = "" };
	const struct dialect *dialect = dialect_find(device->dialect);

	if (dialect == NULL)
		dialect = &plain;
	return (struct provider_device){
		.node = device->node,
		.token = device->token,
		.second_token = device->second_token,
		.account = dialect->domain_owns ? NULL : device->account,
		.terse = dialect->hides_owner || dialect->domain_owns,
	};
}

/* ---- registering ---- */

static void on_registered(struct redis_call *call, const struct redisReply *reply)
{
	struct device_registration *registration =
	        container_of(call, struct device_registration, call);
	const char *node = redis_reply_string(redis_reply_at(reply, 0), NULL);
	const char *secret = redis_reply_string(redis_reply_at(reply, 1), NULL);

	if (redis_reply_integer(reply, -1) == 0) {
		registration->done(registration, STORED_ABSENT);
		return;
	}
	if (node == NULL || secret == NULL || strlen(node) >= DEVICE_HEX ||
	    strlen(secret) >= DEVICE_HEX) {
		registration->done(registration, device_call_away(reply));
		return;
	}
	memcpy(registration->node, node, strlen(node) + 1);
	memcpy(registration->secret, secret, strlen(secret) + 1);
	registration->created = redis_reply_integer(redis_reply_at(reply, 2), 0) == 1;
	registration->evicted = (unsigned)redis_reply_integer(redis_reply_at(reply, 3), 0);
	registration->done(registration, STORED_DONE);
}

/* What p2's apps compare with their own: SHA-1 over the bare JID, NUL and the device's id. */
static const char *make_account(const struct device *device, const struct dialect *dialect,
                                char text[SHA1_TEXT_SIZE])
{
	struct buf parts = { 0 };

	if (!dialect->hides_owner || device->device_id == NULL)
		return device->owner;
	buf_append(&parts, device->owner, strlen(device->owner) + 1);
	buf_text(&parts, device->device_id);
	sha1_text(buf_data(&parts), buf_len(&parts), text);
	buf_release(&parts);
	return text;
}

static void add_fields(struct device_arguments *arguments, const struct device *device,
                       const char *account)
{
	device_argument_field(arguments, DEVICE_COMPONENT, device->component);
	device_argument_field(arguments, DEVICE_OWNER, device->owner);
	device_argument_field(arguments, DEVICE_PROVIDER, device->provider);
	device_argument_field(arguments, DEVICE_TOKEN, device->token);
	device_argument_field(arguments, DEVICE_SECOND_TOKEN, device->second_token);
	device_argument_field(arguments, DEVICE_ID, device->device_id);
	device_argument_field(arguments, DEVICE_DIALECT, device->dialect);
	device_argument_field(arguments, DEVICE_ACCOUNT, account);
}

void device_register(struct device_registration *registration, struct redis *redis,
                     const struct device *device, const struct device_limits *limits)
{
	const struct dialect *dialect = dialect_find(device->dialect);
	char key[DEVICE_KEY_HEX], token[DEVICE_KEY_HEX], account[SHA1_TEXT_SIZE];
	char dead[SHA1_TEXT_SIZE];
	struct device_arguments arguments = { 0 };

	device_key_hash(device, key);
	device_key_token(device->token, token);
	if (dialect->registers)
		device_key_random(registration->node);
	else
		device_key_pin(device, registration->node);
	device_key_random(registration->secret);
	device_key_dead(device->provider, token, dead);
	device_argument_key(&arguments, redis, "key:", key);
	device_argument_key(&arguments, redis, "token:", token);
	device_argument_key(&arguments, redis, "owner:", device->owner);
	device_argument_key(&arguments, redis, "dead:", dead);
	device_argument(&arguments, redis_prefix(redis));
	device_argument(&arguments, registration->node);
	device_argument(&arguments, registration->secret);
	device_argument_number(&arguments, limits->per_token);
	device_argument_number(&arguments, dialect->domain_owns ? 0 : limits->per_owner);
	device_argument(&arguments, key);
	device_argument(&arguments, token);
	device_argument_number(&arguments, dialect->renews ? limits->ttl_ms : 0);
	device_argument(&arguments, dialect->registers ? "0" : "1");
	add_fields(&arguments, device, make_account(device, dialect, account));
	registration->call.done = on_registered;
	device_call(redis, &registration->call, &device_lua_register, 4, &arguments);
}

/* ---- removing ---- */

static void on_removed(struct redis_call *call, const struct redisReply *reply)
{
	struct device_removal *removal = container_of(call, struct device_removal, call);
	int64_t count;

	removal->count = 0;
	if (redis_reply_nil(reply) || redis_reply_error(reply) != NULL) {
		removal->done(removal, device_call_away(reply));
		return;
	}
	count = redis_reply_integer(reply, 0);
	removal->count = count > 0 ? (unsigned)count : 0;
	removal->done(removal, count > 0 ? STORED_DONE : count == 0 ? STORED_ABSENT : STORED_NEWER);
}

void device_unregister(struct device_removal *removal, struct redis *redis,
                       const struct device *device)
{
	struct device_arguments arguments = { 0 };
	char token[DEVICE_KEY_HEX];

	device_key_token(device->token, token);
	device_argument_key(&arguments, redis, "token:", token);
	device_argument(&arguments, redis_prefix(redis));
	device_argument(&arguments, device->owner);
	device_argument(&arguments, device->component != NULL ? device->component : "");
	device_argument(&arguments, device->provider != NULL ? device->provider : "");
	removal->call.done = on_removed;
	device_call(redis, &removal->call, &device_lua_unregister, 1, &arguments);
}

void device_remove(struct device_removal *removal, struct redis *redis, const char *node)
{
	struct device_arguments arguments = { 0 };

	device_argument(&arguments, redis_prefix(redis));
	device_argument(&arguments, node);
	removal->call.done = on_removed;
	device_call(redis, &removal->call, &device_lua_remove, 0, &arguments);
}

/* Takes the token FIELD away: that device's alone (DEAD_MS 0), or the token's everywhere. */
static void bury(struct device_removal *removal, struct redis *redis, const struct device *device,
                 enum device_field field, const int64_t ms[2])
{
	struct device_arguments arguments = { 0 };

	device_argument_key(&arguments, redis, "device:", device->node);
	device_argument(&arguments, redis_prefix(redis));
	device_argument(&arguments, device->node);
	device_argument_field(&arguments, field,
	                      field == DEVICE_TOKEN ? device->token : device->second_token);
	device_argument_number(&arguments, ms[0]);
	device_argument_number(&arguments, ms[1]);
	device_argument(&arguments, dialect_fpush->name);
	removal->call.done = on_removed;
	device_call(redis, &removal->call, &device_lua_bury, 1, &arguments);
}

void device_bury(struct device_removal *removal, struct redis *redis, const struct device *device,
                 bool second, int64_t before_ms)
{
	bury(removal, redis, device, second ? DEVICE_SECOND_TOKEN : DEVICE_TOKEN,
	     (int64_t[]){ before_ms, DEVICE_DEAD_MS });
}

void device_dismiss(struct device_removal *removal, struct redis *redis,
                    const struct device *device)
{
	bury(removal, redis, device, DEVICE_TOKEN, (int64_t[]){ device->registered_ms, 0 });
}

void device_sweep(struct device_removal *removal, struct redis *redis, unsigned most)
{
	struct device_arguments arguments = { 0 };

	device_argument(&arguments, redis_prefix(redis));
	device_argument_number(&arguments, most);
	removal->call.done = on_removed;
	device_call(redis, &removal->call, &device_lua_sweep, 0, &arguments);
}

/* ---- what sending tells ---- */

static void on_suspected(struct redis_call *call, const struct redisReply *reply)
{
	struct device_suspicion *suspicion = container_of(call, struct device_suspicion, call);
	int64_t days = redis_reply_integer(reply, 0);

	suspicion->days = days > 0 ? (unsigned)days : 0;
	if (redis_reply_nil(reply) || redis_reply_error(reply) != NULL)
		suspicion->done(suspicion, device_call_away(reply));
	else
		suspicion->done(suspicion, days > 0    ? STORED_DONE
		                           : days == 0 ? STORED_ABSENT
		                                       : STORED_NEWER);
}

void device_suspect(struct device_suspicion *suspicion, struct redis *redis,
                    const struct device *device)
{
	struct device_arguments arguments = { 0 };

	device_argument_key(&arguments, redis, "device:", device->node);
	device_argument(&arguments, redis_prefix(redis));
	device_argument(&arguments, device->token);
	suspicion->call.done = on_suspected;
	device_call(redis, &suspicion->call, &device_lua_suspect, 1, &arguments);
}

void device_note_environment(struct redis *redis, const struct device *device,
                             const char *environment)
{
	struct device_arguments arguments = { 0 };
	const char *known = device->environment;
	bool news = environment != NULL && (known == NULL || strcmp(known, environment) != 0);

	if (!news && device->suspect_days == 0)
		return;
	device_argument_key(&arguments, redis, "device:", device->node);
	device_argument(&arguments, redis_prefix(redis));
	device_argument(&arguments, device->token);
	device_argument(&arguments, news ? environment : "");
	device_call_unheard(redis, &device_lua_note, 1, &arguments);
}
