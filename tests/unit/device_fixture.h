/* Calls about devices, waited for, for the tests of device.c. */
#ifndef OG_TESTS_UNIT_DEVICE_FIXTURE_H
#define OG_TESTS_UNIT_DEVICE_FIXTURE_H

#include "common/base/arena.h"
#include "pushd/device/device.h"
#include "tests/unit/redis_fixture.h"

static struct device_limits limits = {
	.per_token = 16,
	.per_owner = 64,
	.ttl_ms = 90000,
	.all = 1000,
	.per_domain = 1000,
};

#define AABB_HASH "486b34250bd4400c0aa90516fce9a9c0633a922eb40d0828cf299bc4e825acf4"

#define DEAD_APNS "ef993ece5c9f0e053b7a87825a22fa82aaa40f0e"
#define DEAD_SANDBOX "c23d6b5f06d2f71104c285b1e3fad435c5b3fbf9"

static struct device phone = {
	.component = "push.example.org",
	.owner = "romeo@example.org",
	.provider = "apns",
	.token = "aabb",
	.dialect = "tigase",
};

static enum device_result last;
static int answers;

static struct arena texts; /* of what was found */

static inline void close_storage(void)
{
	arena_release(&texts);
	teardown();
}

static inline void open_storage(void)
{
	setup();
	open_server();
}

/* ---- each call, waited for ---- */

static inline void on_registration(struct device_registration *registration,
                                   enum device_result result)
{
	last = result;
	answers++;
}

static inline void on_removal(struct device_removal *removal, enum device_result result)
{
	last = result;
	answers++;
}

/* How a registration that limits may refuse ends. */
static inline enum device_result try_to_enrol(struct device_registration *registration,
                                              const struct device *device)
{
	*registration = (struct device_registration){ .done = on_registration };
	answers = 0;
	device_register(registration, redis, device, &limits);
	WAIT_UNTIL(answers > 0);
	return last;
}

static inline struct device_registration enrol(const struct device *device)
{
	struct device_registration registration;

	ck_assert_int_eq(try_to_enrol(&registration, device), DEVICE_DONE);
	return registration;
}

/* What was found, with its texts kept. */
static struct device found[DEVICE_ALIAS_MAX];
static size_t found_count;

static inline const char *kept(const char *text)
{
	return text != NULL ? arena_dup(&texts, text, strlen(text)) : NULL;
}

static inline void on_query(struct device_query *query, enum device_result result,
                            const struct device *devices, size_t count)
{
	last = result;
	answers++;
	found_count = count;
	for (size_t i = 0; i < count && i < ARRAY_LEN(found); i++) {
		found[i] = devices[i];
		found[i].node = kept(devices[i].node);
		found[i].secret = kept(devices[i].secret);
		found[i].owner = kept(devices[i].owner);
		found[i].token = kept(devices[i].token);
		found[i].second_token = kept(devices[i].second_token);
		found[i].account = kept(devices[i].account);
		found[i].device_id = kept(devices[i].device_id);
		found[i].channel = kept(devices[i].channel);
		found[i].channel_id = kept(devices[i].channel_id);
		found[i].environment = kept(devices[i].environment);
		found[i].alias = kept(devices[i].alias);
	}
}

static bool last_waiting;

static inline bool is_under_way(const struct device_query *query)
{
	return redis_busy(&query->device_call) || query->implicit != NULL;
}

static inline enum device_result look_up(const char *node)
{
	struct device_query query = { .done = on_query };

	answers = 0;
	device_find(&query, redis, node);
	ck_assert(is_under_way(&query));
	WAIT_UNTIL(answers > 0);
	ck_assert(!is_under_way(&query));
	last_waiting = query.waiting;
	return last;
}

static inline enum device_result look_up_alias(const char *name)
{
	struct device_query query = { .done = on_query };

	answers = 0;
	device_find_alias(&query, redis, name);
	WAIT_UNTIL(answers > 0);
	return last;
}

/* Notes are written behind our back. */
#define WAIT_FOUND(node, condition) WAIT_UNTIL(look_up(node) == DEVICE_DONE && (condition))

static inline enum device_result register_implicitly(const struct device *device)
{
	struct device_query query = { .done = on_query };

	answers = 0;
	device_find_or_register(&query, redis, device, &limits);
	WAIT_UNTIL(answers > 0);
	ck_assert(!is_under_way(&query));
	return last;
}

static inline size_t list_of(const char *owner)
{
	struct device_query query = { .done = on_query };

	answers = 0;
	device_list(&query, redis, owner);
	WAIT_UNTIL(answers > 0);
	ck_assert_int_eq(last, DEVICE_DONE);
	return found_count;
}

static inline unsigned unregister_device(const struct device *device)
{
	struct device_removal removal = { .done = on_removal };

	answers = 0;
	device_unregister(&removal, redis, device);
	WAIT_UNTIL(answers > 0);
	ck_assert_int_eq(last, removal.count > 0 ? DEVICE_DONE : DEVICE_ABSENT);
	return removal.count;
}

static inline unsigned unregister(const char *owner, const char *token, const char *component,
                                  const char *provider)
{
	return unregister_device(&(struct device){
	        .owner = owner, .token = token, .component = component, .provider = provider });
}

static inline enum device_result remove_dead(const struct device *device, bool second,
                                             int64_t before_ms)
{
	struct device_removal removal = { .done = on_removal };

	answers = 0;
	device_remove_dead(&removal, redis, device, second, before_ms);
	WAIT_UNTIL(answers > 0);
	return last;
}

static inline enum device_result take_away(const char *node)
{
	struct device_removal removal = { .done = on_removal };

	answers = 0;
	device_remove(&removal, redis, node);
	WAIT_UNTIL(answers > 0);
	return last;
}

static inline enum device_result remove_if_unchanged(const struct device *device)
{
	struct device_removal removal = { .done = on_removal };

	answers = 0;
	device_remove_if_unchanged(&removal, redis, device);
	WAIT_UNTIL(answers > 0);
	return last;
}

static inline unsigned sweep(unsigned most)
{
	struct device_removal removal = { .done = on_removal };

	answers = 0;
	device_expire(&removal, redis, most);
	WAIT_UNTIL(answers > 0);
	ck_assert_int_eq(last, removal.count > 0 ? DEVICE_DONE : DEVICE_ABSENT);
	return removal.count;
}

static inline void on_suspicion(struct device_suspicion *suspicion, enum device_result result)
{
	last = result;
	answers++;
}

static inline unsigned mark_suspect(const struct device *device)
{
	struct device_suspicion suspicion = { .done = on_suspicion };

	answers = 0;
	device_mark_suspect(&suspicion, redis, device);
	WAIT_UNTIL(answers > 0);
	return suspicion.days;
}

/* The number that COMMAND, with NODE for its %s, answers. */
static inline long long ask(const char *command, const char *node)
{
	struct asked asked = { .call.done = on_asked };

	redis_command(redis, &asked.call, command, node);
	WAIT_UNTIL(asked.answers > 0);
	return asked.number;
}

/* How many keys there are, but for the stream of devices that are gone, and the counts. */
static inline long long keys(void)
{
	return ask("DBSIZE", "") - ask("EXISTS og:push:gone og:push:counts%s", "");
}

#endif
