#include "xmppgw/backend/backend.c"

#include "tests/unit/unit.h"

#define KEYS 300

static char *addresses[] = { (char *)"192.0.2.1:1080", (char *)"[2001:db8::1]:1081", NULL };
static struct conf_relay configured = { (char *)"r1", (char *)"http://127.0.0.1:1", addresses };
static struct conf conf = { .daemon = { .redis = (char *)"none" }, .relays = { &configured, 1 } };
static unsigned changes;

static void on_change(void)
{
	changes++;
}

static void setup(void)
{
	log_init("test_backend", LOG_ERROR);
	loop_init();
	ck_assert_int_eq(backend_module.start(&conf), 0);
	backend_on_change(on_change);
}

static bool full;

static void teardown(void)
{
	backend_on_change(NULL);
	backend_module.stop();
	loop_release();
}

/* The registry tells of the backends of KIND: RECORDS is JSON, {id: record, …}. */
static void tell(enum backend_kind kind, const char *records)
{
	json_t *object = json_loads(records, 0, NULL);

	ck_assert_ptr_nonnull(object);
	on_records(&kinds[kind].watch, object);
	json_decref(object);
}

#define PUSH(id) "\"" id "\":{\"api\":\"http://" id "\"}"
#define RELAY(id, streams)                                                                         \
	"\"" id "\":{\"control\":\"http://" id                                                     \
	"\",\"advertise\":[\"192.0.2.1:1\"],\"streams\":" #streams "}"

/* Writes to IDS which push daemon each of the keys belongs to; returns how many are ID's. */
static unsigned map_keys(char ids[KEYS][8], const char *id)
{
	unsigned count = 0;

	for (unsigned i = 0; i < KEYS; i++) {
		char key[16];
		struct backend *push;

		snprintf(key, sizeof(key), "node-%u", i);
		push = backend_for(key);
		snprintf(ids[i], sizeof(ids[i]), "%s", push == NULL ? "" : push->id);
		count += strcmp(ids[i], id) == 0;
	}
	return count;
}

START_TEST(configured_relays_are_described_as_the_registry_would)
{
	struct backend *relay = backend_first(BACKEND_RELAY);

	ck_assert(backend_known(BACKEND_RELAY));
	ck_assert(!backend_known(BACKEND_PUSH));
	ck_assert_str_eq(relay->id, "r1");
	ck_assert_str_eq(relay->url, "http://127.0.0.1:1");
	ck_assert_uint_eq(json_array_size(json_object_get(relay->record, "advertise")), 2);
	ck_assert_ptr_null(backend_next(relay, BACKEND_RELAY));
}
END_TEST

START_TEST(a_key_keeps_its_push_daemon_while_that_one_lives)
{
	char before[KEYS][8], after[KEYS][8];

	ck_assert_ptr_null(backend_for("node"));
	tell(BACKEND_PUSH, "{" PUSH("p1") "," PUSH("p2") "," PUSH("p3") "}");
	ck_assert_uint_gt(map_keys(before, "p1"), KEYS / 6);
	ck_assert_uint_gt(map_keys(before, "p2"), KEYS / 6);
	ck_assert_uint_gt(map_keys(before, "p3"), KEYS / 6);
	tell(BACKEND_PUSH, "{" PUSH("p3") "," PUSH("p1") "}");
	ck_assert_uint_eq(map_keys(after, "p2"), 0);
	for (unsigned i = 0; i < KEYS; i++)
		if (strcmp(before[i], "p2") != 0)
			ck_assert_str_eq(after[i], before[i]);
	tell(BACKEND_PUSH, "{" PUSH("p4") "," PUSH("p3") "," PUSH("p2") "," PUSH("p1") "}");
	map_keys(after, "");
	for (unsigned i = 0; i < KEYS; i++)
		if (strcmp(after[i], "p4") != 0)
			ck_assert_str_eq(after[i], before[i]);
}
END_TEST

START_TEST(work_goes_to_no_daemon_that_drains_or_was_unreachable_a_moment_ago)
{
	struct backend *push;

	tell(BACKEND_PUSH, "{" PUSH("p1") ",\"p2\":{\"api\":\"http://p2\",\"draining\":true}}");
	push = backend_find(BACKEND_PUSH, "p1");
	for (unsigned i = 0; i < 50; i++)
		ck_assert_ptr_eq(backend_any(BACKEND_PUSH), push);
	backend_avoid(push);
	ck_assert(!backend_available(push));
	ck_assert_ptr_null(backend_for("node"));
	ck_assert_ptr_nonnull(backend_any(BACKEND_PUSH)); /* a call may still be tried */
	push->avoided_until_ms = loop_now_ms();
	ck_assert_ptr_eq(backend_for("node"), push);
}
END_TEST

START_TEST(a_daemon_that_is_gone_lives_until_its_last_user_releases_it)
{
	struct backend *push;

	tell(BACKEND_PUSH, "{" PUSH("p1") "}");
	push = backend_first(BACKEND_PUSH);
	backend_retain(push);
	tell(BACKEND_PUSH, "{}");
	ck_assert(!backend_available(push));
	ck_assert_ptr_null(backend_first(BACKEND_PUSH));
	ck_assert_ptr_null(backend_find(BACKEND_PUSH, "p1"));
	ck_assert(!list_empty(&kinds[BACKEND_PUSH].all));
	tell(BACKEND_PUSH, "{" PUSH("p1") "}");
	ck_assert_ptr_eq(backend_first(BACKEND_PUSH), push);
	tell(BACKEND_PUSH, "{}");
	backend_release(push);
	ck_assert(list_empty(&kinds[BACKEND_PUSH].all));
}
END_TEST

START_TEST(a_record_without_an_api_is_none)
{
	tell(BACKEND_PUSH, "{\"p1\":{\"control\":\"http://p1\"},\"p2\":1,\"p3\":{\"api\":7}}");
	ck_assert_ptr_null(backend_first(BACKEND_PUSH));
	ck_assert(backend_known(BACKEND_PUSH));
}
END_TEST

START_TEST(changes_of_push_daemons_are_told_and_those_of_relays_are_not)
{
	tell(BACKEND_RELAY, "{" RELAY("r2", 0) "}");
	ck_assert_uint_eq(changes, 0);
	tell(BACKEND_PUSH, "{}");
	ck_assert_uint_eq(changes, 1);
}
END_TEST

START_TEST(the_relay_with_fewer_streams_is_recommended)
{
	struct backend *idle;
	unsigned chosen = 0;

	tell(BACKEND_RELAY, "{" RELAY("r2", 1000000) "," RELAY("r3", 0) "}");
	idle = backend_find(BACKEND_RELAY, "r3");
	for (unsigned i = 0; i < 400; i++)
		chosen += backend_recommend(&full) == idle;
	ck_assert_uint_gt(chosen,
	                  250); /* 300 on average: it loses where both draws are the other */
	ck_assert_uint_lt(chosen, 400);
	ck_assert_uint_eq(idle->pending, chosen);
	tell(BACKEND_RELAY, "{" RELAY("r2", 0) "," RELAY("r3", 0) "}");
	ck_assert_uint_eq(idle->pending, chosen / 2);
}
END_TEST

START_TEST(a_relay_that_clients_can_not_reach_is_not_recommended)
{
	tell(BACKEND_RELAY, "{\"r2\":{\"control\":\"http://r2\",\"advertise\":[]},"
	                    "\"r3\":{\"control\":\"http://r3\"}}");
	ck_assert_ptr_null(backend_recommend(&full));
	tell(BACKEND_RELAY, "{" RELAY("r2", 0) "}");
	ck_assert_ptr_eq(backend_recommend(&full), backend_find(BACKEND_RELAY, "r2"));
	backend_avoid(backend_find(BACKEND_RELAY, "r2"));
	ck_assert_ptr_null(backend_recommend(&full));
}
END_TEST

START_TEST(a_relay_that_is_full_is_not_recommended)
{
#define FULL(id)                                                                                   \
	"\"" id "\":{\"control\":\"http://" id                                                     \
	"\",\"advertise\":[\"192.0.2.1:1\"],\"streams\":0,\"full\":true}"

	tell(BACKEND_RELAY, "{" RELAY("r2", 1000000) "," FULL("r3") "}");
	for (int i = 0; i < 50; i++)
		ck_assert_ptr_eq(backend_recommend(&full), backend_find(BACKEND_RELAY, "r2"));
	tell(BACKEND_RELAY, "{" FULL("r3") "}");
	ck_assert_ptr_null(backend_recommend(&full));
	ck_assert(full);
	ck_assert_ptr_nonnull(backend_any(BACKEND_RELAY)); /* its streams may be activated */
	tell(BACKEND_RELAY, "{}");
	ck_assert_ptr_null(backend_recommend(&full));
	ck_assert(!full);
}
END_TEST

START_TEST(providers_of_all_push_daemons_are_listed_once_and_no_more_than_asked_for)
{
	const char *ids[4];

	tell(BACKEND_PUSH,
	     "{\"p1\":{\"api\":\"http://p1\",\"providers\":[{\"id\":\"a\"},{\"id\":\"b\"},{}]},"
	     "\"p2\":{\"api\":\"http://p2\",\"providers\":[{\"id\":\"b\"},{\"id\":\"c\"}]},"
	     "\"p3\":{\"api\":\"http://p3\"}}");
	ck_assert_uint_eq(backend_providers(ids, 4), 3);
	ck_assert_uint_eq(backend_providers(ids, 2), 2);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		configured_relays_are_described_as_the_registry_would,
		a_key_keeps_its_push_daemon_while_that_one_lives,
		work_goes_to_no_daemon_that_drains_or_was_unreachable_a_moment_ago,
		a_daemon_that_is_gone_lives_until_its_last_user_releases_it,
		a_record_without_an_api_is_none,
		changes_of_push_daemons_are_told_and_those_of_relays_are_not,
		the_relay_with_fewer_streams_is_recommended,
		a_relay_that_clients_can_not_reach_is_not_recommended,
		a_relay_that_is_full_is_not_recommended,
		providers_of_all_push_daemons_are_listed_once_and_no_more_than_asked_for,
	};

	return unit_run("backend", tests, ARRAY_LEN(tests), setup, teardown);
}
