#include "common/registry.c"

#include <sys/wait.h>

#include "tests/unit/logged.h"
#include "tests/unit/redis_server.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define TOKEN "token-of-the-tests"

static struct redis_server server;
static struct redis *redis;

static struct redis *open_redis(void)
{
	struct redis_options options = { .url = server.url, .prefix = "og:", .timeout_ms = 5000 };

	return redis_new(&options);
}

/* A daemon with a record, and a reader. */
struct member {
	struct registry_entry entry;
	int load;
	int described;
	bool draining;
	int taken; /* how often it was told that its id is another's */
};

static json_t *describe(struct registry_entry *entry)
{
	struct member *member = container_of(entry, struct member, entry);

	member->described++;
	return json_pack("{s:s, s:I, s:i, s:b}", "id", entry->id, "epoch",
	                 (json_int_t)entry->epoch_ms, "load", member->load, "draining",
	                 member->draining);
}

static void on_taken(struct registry_entry *entry)
{
	container_of(entry, struct member, entry)->taken++;
}

static struct member member(const char *kind, const char *id)
{
	return (struct member){ .entry = { describe, kind, id, 1700000000000, redis, TOKEN,
		                           .taken = on_taken } };
}

struct reader {
	struct registry_watch watch;
	int readings;
	json_t *records; /* the last reading */
};

static void on_records(struct registry_watch *watch, const json_t *records)
{
	struct reader *reader = container_of(watch, struct reader, watch);

	reader->readings++;
	json_decref(reader->records);
	reader->records = json_deep_copy(records);
}

static struct reader reader = { .watch.changed = on_records,
	                        .watch.kind = "relay",
	                        .watch.token = TOKEN };

static int load_of(const char *id)
{
	return (int)json_integer_value(
	        json_object_get(json_object_get(reader.records, id), "load"));
}

/* Sends COMMAND and gives its integer or 0. */
struct asked {
	struct redis_call call;
	bool done;
	long long number;
};

static void on_asked(struct redis_call *call, const struct redisReply *reply)
{
	struct asked *asked = container_of(call, struct asked, call);

	asked->number = redis_reply_integer(reply, 0);
	asked->done = true;
}

static long long ask(const char *command)
{
	struct asked asked = { .call.done = on_asked };

	redis_command(redis, &asked.call, command);
	WAIT_UNTIL(asked.done);
	return asked.number;
}

static void setup(void)
{
	loop_init();
	redis_server_init(&server);
	redis_server_start(&server);
	redis = open_redis();
	reader.watch.redis = redis;
}

static void teardown(void)
{
	registry_watch_stop(&reader.watch);
	json_decref(reader.records);
	redis_free(redis);
	redis_server_release(&server);
	loop_release();
}

/* True if a record that was written MS ago is believed. */
static bool believes(int64_t ms)
{
	json_t *record = json_pack("{s:I}", "at_ms", (json_int_t)(loop_wall_ms() - ms)), *opened;
	char *text;

	signature_put(record, TOKEN, "relay:relay-1");
	text = json_dumps(record, 0);
	opened = registry_open("relay", "relay-1", text, strlen(text), TOKEN);
	json_decref(record);
	json_decref(opened);
	free(text);
	return opened != NULL;
}

START_TEST(an_old_record_that_is_shown_once_more_is_not_believed)
{
	ck_assert(believes(0));
	ck_assert(believes(REGISTRY_AGE_MS - 60000));
	ck_assert(believes(-REGISTRY_AGE_MS + 60000));
	ck_assert(!believes(REGISTRY_AGE_MS + 1000));
	ck_assert(!believes(-REGISTRY_AGE_MS - 60000));
	ck_assert(!believes(loop_wall_ms() + 1));
}
END_TEST

START_TEST(members_of_a_kind_are_read_with_their_records)
{
	struct member one = member("relay", "relay-1"), two = member("relay", "relay-2");
	struct member other = member("push", "push-1");

	one.load = 7;
	registry_join(&one.entry);
	registry_join(&two.entry);
	registry_join(&other.entry);
	registry_watch_start(&reader.watch);
	WAIT_UNTIL(json_object_size(reader.records) == 2);
	ck_assert_int_eq(load_of("relay-1"), 7);
	ck_assert_ptr_nonnull(json_object_get(reader.records, "relay-2"));
	registry_leave(&one.entry);
	registry_leave(&two.entry);
	registry_leave(&other.entry);
}
END_TEST

START_TEST(a_record_is_made_only_once_there_is_a_connection)
{
	struct member one = member("relay", "relay-1");

	registry_join(&one.entry);
	registry_touch(&one.entry);
	ck_assert(!redis_connected(redis));
	ck_assert_int_eq(one.described, 0);
	WAIT_UNTIL(redis_connected(redis));
	WAIT_UNTIL(one.described == 1 && !redis_busy(&one.entry.call));
	ck_assert_int_eq(ask("EXISTS og:registry:relay:relay-1"), 1);
	registry_leave(&one.entry);
}
END_TEST

/* PLACE of a listener on LISTEN, when the connection to Redis is from LOCAL (NULL: unknown). */
static void place_is(const char *listen, const char *local, const char *place)
{
	union net_address listener, end = { 0 };
	char *got;

	ck_assert_int_eq(net_parse(listen, &listener), 0);
	if (local != NULL)
		ck_assert_int_eq(net_parse(local, &end), 0);
	got = place_of(&listener, &end);
	ck_assert_str_eq(got, place);
	free(got);
}

START_TEST(a_wildcard_is_reached_where_redis_sees_the_machine)
{
	char host[300] = "", by_name[320];

	gethostname(host, sizeof(host) - 1);
	snprintf(by_name, sizeof(by_name), "%s:80", host);
	place_is("10.0.0.1:80", "192.0.2.1:5000", "10.0.0.1:80");
	place_is("0.0.0.0:80", "192.0.2.1:5000", "192.0.2.1:80");
	place_is("[::]:80", "192.0.2.1:5000", "192.0.2.1:80");
	place_is("[::]:80", "[2001:db8::1]:5000", "[2001:db8::1]:80");
	place_is("0.0.0.0:80", "[2001:db8::1]:5000", by_name);
	place_is("[::]:80", NULL, by_name);
	place_is("[2001:db8::2]:80", NULL, "[2001:db8::2]:80");
}
END_TEST

static void place_by_redis_is(const char *given, const char *scheme, const char *place)
{
	union net_address listener;
	json_t *got;

	ck_assert_int_eq(net_parse("[::]:80", &listener), 0);
	got = registry_place(redis, given, scheme, &listener);
	ck_assert_str_eq(json_string_value(got), place);
	json_decref(got);
}

START_TEST(what_the_operator_says_comes_first_and_no_listener_is_null)
{
	json_t *none = registry_place(redis, "given:1", "", NULL);

	ck_assert(json_is_null(none));
	place_by_redis_is("http://given:1", "http://", "http://given:1");
}
END_TEST

/* A connection over TCP to HOST, where the server then listens. */
static void connect_to(const char *host)
{
	int port = redis_server_free_port();
	char *url = mem_printf("redis://%s:%d", host, port);
	struct redis_options options = { .url = url, .prefix = "og:", .timeout_ms = 5000 };

	redis_server_kill(&server);
	redis_free(redis);
	server.bind = strchr(host, '[') != NULL ? "::1" : host;
	redis_server_start_with(&server, port, NULL);
	redis = redis_new(&options);
	free(url);
	WAIT_UNTIL(redis_connected(redis));
}

START_TEST(the_place_is_the_local_address_of_the_connection_to_redis)
{
	char host[300] = "", by_name[320];

	gethostname(host, sizeof(host) - 1);
	snprintf(by_name, sizeof(by_name), "http://%s:80", host);
	WAIT_UNTIL(redis_connected(redis));
	place_by_redis_is(NULL, "http://", by_name); /* a unix socket */
	connect_to("127.0.0.1");
	place_by_redis_is(NULL, "http://", "http://127.0.0.1:80");
	connect_to("[::1]");
	place_by_redis_is(NULL, "", "[::1]:80");
}
END_TEST

START_TEST(a_reading_without_members_is_an_empty_object)
{
	registry_watch_start(&reader.watch);
	WAIT_UNTIL(reader.readings == 1);
	ck_assert_uint_eq(json_object_size(reader.records), 0);
}
END_TEST

START_TEST(a_record_is_renewed_each_beat_and_at_once_when_touched)
{
	struct member one = member("relay", "relay-1");
	uint64_t start_ms = loop_now_ms();

	registry_join(&one.entry);
	WAIT_UNTIL(one.described == 2);
	ck_assert_uint_ge(loop_now_ms() - start_ms, REGISTRY_BEAT_MS - 1);
	one.load = 3;
	registry_touch(&one.entry);
	registry_watch_start(&reader.watch);
	WAIT_UNTIL(reader.readings == 1);
	ck_assert_int_eq(load_of("relay-1"), 3);
	registry_leave(&one.entry);
}
END_TEST

START_TEST(every_key_expires_by_itself_within_the_ttl)
{
	struct member one = member("relay", "relay-1");

	registry_join(&one.entry);
	WAIT_UNTIL(!redis_busy(&one.entry.call));
	ck_assert_int_gt(ask("PTTL og:registry:relay:relay-1"), 0);
	ck_assert_int_le(ask("PTTL og:registry:relay:relay-1"), REGISTRY_TTL_MS);
	ck_assert_int_gt(ask("PTTL og:registry:relay"), 0);
	ck_assert_int_eq(ask("DBSIZE"), 2);
	registry_leave(&one.entry);
}
END_TEST

START_TEST(a_member_that_leaves_is_gone_at_once_even_if_the_process_ends_then)
{
	struct member one = member("relay", "relay-1");

	registry_join(&one.entry);
	WAIT_UNTIL(!redis_busy(&one.entry.call));
	ck_assert_int_eq(ask("DBSIZE"), 2);
	registry_leave(&one.entry);
	registry_leave(&one.entry);
	redis_free(redis);
	reader.watch.redis = redis = open_redis();
	ck_assert_int_eq(ask("DBSIZE"), 0);
}
END_TEST

START_TEST(a_process_that_leaves_late_keeps_the_record_of_its_successor)
{
	struct member old = member("relay", "relay-1"), new = member("relay", "relay-1");

	old.draining = true;
	registry_join(&old.entry);
	WAIT_UNTIL(!redis_busy(&old.entry.call));
	new.entry.epoch_ms = old.entry.epoch_ms + 1;
	registry_join(&new.entry);
	WAIT_UNTIL(new.entry.joined);
	registry_touch(&old.entry); /* it renews nothing any more */
	WAIT_UNTIL(!redis_busy(&old.entry.call));
	registry_watch_start(&reader.watch);
	WAIT_UNTIL(reader.readings == 1);
	ck_assert(!json_is_true(
	        json_object_get(json_object_get(reader.records, "relay-1"), "draining")));
	registry_leave(&old.entry);
	ck_assert_int_eq(ask("EXISTS og:registry:relay:relay-1"), 1);
	ck_assert_int_eq(ask("ZCARD og:registry:relay"), 1);
	registry_leave(&new.entry);
	ck_assert_int_eq(ask("DBSIZE"), 0);
}
END_TEST

START_TEST(a_start_that_finds_its_id_in_use_ends_and_names_both_hosts)
{
	struct member one = member("relay", "relay-1"), two = member("relay", "relay-1");
	struct logged logged = logged_start();
	char line[2 * NET_HOST_MAX + 128];
	const char *text;

	two.entry.epoch_ms = one.entry.epoch_ms + 1;
	registry_join(&one.entry);
	WAIT_UNTIL(one.entry.joined);
	registry_join(&two.entry);
	WAIT_UNTIL(two.taken > 0);
	text = logged_end(&logged);
	snprintf(line, sizeof(line),
	         "registry-id-taken kind=relay id=relay-1 host=%s other_host=%s ", host_name(),
	         host_name());
	ck_assert_msg(strstr(text, line) != NULL, "%s", text);
	ck_assert(!two.entry.joined && one.taken == 0);
	registry_leave(&two.entry);
	ck_assert_int_eq(ask("EXISTS og:registry:relay:relay-1"), 1);
	registry_leave(&one.entry);
}
END_TEST

START_TEST(a_start_after_a_crash_waits_until_the_old_record_has_expired)
{
	struct member dead = member("relay", "relay-1"), two = member("relay", "relay-1");

	dead.load = 9;
	registry_join(&dead.entry);
	WAIT_UNTIL(dead.entry.joined);
	timer_stop(&dead.entry.beat);
	two.entry.epoch_ms = dead.entry.epoch_ms + 1;
	registry_join(&two.entry);
	WAIT_UNTIL(two.entry.theirs_ms != 0);
	registry_watch_start(&reader.watch);
	WAIT_UNTIL(reader.readings == 1);
	ck_assert_int_eq(load_of("relay-1"), 9);
	WAIT_UNTIL(two.entry.joined);
	ck_assert_int_eq(two.taken, 0);
	registry_leave(&two.entry);
	ck_assert_int_eq(ask("DBSIZE"), 0);
}
END_TEST

/* Writes a record of relay-1 with EPOCH by PROCESS, signed by TOKEN, which nobody renews. */
static void leave_record(json_int_t epoch, const char *process, const char *token)
{
	struct asked asked = { .call.done = on_asked };
	json_t *record =
	        json_pack("{s:I, s:s, s:i}", "epoch", epoch, "process", process, "load", 9);
	char *text;

	json_object_set_new(record, "at_ms", json_integer(loop_wall_ms()));
	signature_put(record, token, "relay:relay-1");
	text = json_dumps(record, JSON_COMPACT);
	redis_command(redis, &asked.call, "SET og:registry:relay:relay-1 %s PX 60000", text);
	WAIT_UNTIL(asked.done);
	free(text);
	json_decref(record);
}

/* The name of process NUMBER of those beside us; heap. */
static char *name_of(long number)
{
	const char *own = process_name();

	return mem_printf("%.*s/%ld", (int)(strrchr(own, '/') - own), own, number);
}

static json_int_t epoch_read(void)
{
	int before = reader.readings;

	registry_watch_start(&reader.watch);
	WAIT_UNTIL(reader.readings > before);
	registry_watch_stop(&reader.watch);
	return json_integer_value(
	        json_object_get(json_object_get(reader.records, "relay-1"), "epoch"));
}

START_TEST(a_start_replaces_the_record_of_a_process_that_is_no_more)
{
	struct member one = member("relay", "relay-1");
	pid_t pid = fork();
	char *name;

	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	name = name_of(pid);
	leave_record(1, name, TOKEN);
	registry_join(&one.entry);
	WAIT_UNTIL(one.entry.joined);
	ck_assert_int_eq(epoch_read(), one.entry.epoch_ms);
	registry_leave(&one.entry);
	free(name);
}
END_TEST

START_TEST(a_record_that_the_fleet_did_not_sign_holds_nobody_up)
{
	struct member one = member("relay", "relay-1");
	struct logged logged = logged_start();

	leave_record(1, "elsewhere/1", "token-of-somebody-else");
	registry_join(&one.entry);
	WAIT_UNTIL(one.entry.joined);
	ck_assert_ptr_nonnull(
	        strstr(logged_end(&logged), "registry-record-refused kind=relay id=relay-1 "));
	ck_assert_int_eq(epoch_read(), one.entry.epoch_ms);
	registry_leave(&one.entry);
}
END_TEST

START_TEST(a_key_that_is_no_record_or_never_expires_holds_nobody_up)
{
	struct member one = member("relay", "relay-1");

	ask("LPUSH og:registry:relay:relay-1 spoiled");
	registry_join(&one.entry);
	WAIT_UNTIL(one.entry.joined);
	leave_record(1, "elsewhere/1", TOKEN);
	ask("PERSIST og:registry:relay:relay-1");
	registry_touch(&one.entry);
	WAIT_UNTIL(!redis_busy(&one.entry.call));
	ck_assert_int_eq(epoch_read(), one.entry.epoch_ms);
	registry_leave(&one.entry);
}
END_TEST

START_TEST(while_the_fleet_changes_its_token_a_record_with_the_old_one_counts)
{
	struct member one = member("relay", "relay-1");

	one.entry.token = "token-that-is-new";
	one.entry.token_also = TOKEN;
	leave_record(1, "elsewhere/1", TOKEN);
	registry_join(&one.entry);
	WAIT_UNTIL(one.entry.theirs_ms != 0);
	ck_assert(!one.entry.joined);
	registry_leave(&one.entry);
}
END_TEST

START_TEST(only_a_process_that_could_be_seen_can_be_found_dead)
{
	const char *own = process_name();
	char *elsewhere = mem_printf("x%s", own);

	ck_assert(!is_dead(own));
	ck_assert(!is_dead(elsewhere));
	ck_assert(!is_dead("unknown"));
	ck_assert(!is_dead(""));
	ck_assert(!is_dead(NULL));
	free(elsewhere);
}
END_TEST

START_TEST(one_that_runs_and_loses_its_record_to_another_goes_on)
{
	struct member one = member("relay", "relay-1");

	registry_join(&one.entry);
	WAIT_UNTIL(one.entry.joined);
	leave_record(1, "elsewhere/1", TOKEN);
	registry_touch(&one.entry);
	WAIT_UNTIL(one.entry.theirs_ms != 0 && !redis_busy(&one.entry.call));
	ask("PEXPIRE og:registry:relay:relay-1 90000");
	registry_touch(&one.entry);
	WAIT_UNTIL(!redis_busy(&one.entry.call));
	ck_assert_int_eq(one.taken, 0);
	ask("DEL og:registry:relay:relay-1");
	registry_touch(&one.entry);
	WAIT_UNTIL(one.entry.theirs_ms == 0);
	registry_leave(&one.entry);
}
END_TEST

START_TEST(a_member_whose_record_has_expired_leaves_the_index_too)
{
	struct member one = member("relay", "relay-1");

	registry_join(&one.entry);
	WAIT_UNTIL(!redis_busy(&one.entry.call));
	ask("DEL og:registry:relay:relay-1");
	registry_leave(&one.entry);
	ck_assert_int_eq(ask("DBSIZE"), 0);
}
END_TEST

START_TEST(a_member_that_died_is_not_read_and_its_place_in_the_index_goes)
{
	struct member one = member("relay", "relay-1");

	registry_join(&one.entry);
	ask("ZADD og:registry:relay 1 long-dead");
	ask("ZADD og:registry:relay 99999999999999 record-gone");
	registry_watch_start(&reader.watch);
	WAIT_UNTIL(reader.readings == 1);
	ck_assert_uint_eq(json_object_size(reader.records), 1);
	ck_assert_int_eq(ask("ZCARD og:registry:relay"), 2);
	registry_leave(&one.entry);
}
END_TEST

START_TEST(a_record_that_is_no_json_object_is_left_out)
{
	struct member one = member("relay", "relay-1");

	registry_join(&one.entry);
	ask("ZADD og:registry:relay 99999999999999 bad 99999999999999 worse");
	ask("SET og:registry:relay:bad {");
	ask("SET og:registry:relay:worse [1]");
	registry_watch_start(&reader.watch);
	WAIT_UNTIL(reader.readings == 1);
	ck_assert_uint_eq(json_object_size(reader.records), 1);
	registry_leave(&one.entry);
}
END_TEST

START_TEST(a_record_that_the_fleet_did_not_sign_is_left_out_and_told)
{
	struct logged logged = logged_start();
	struct member one = member("relay", "relay-1"), two = member("relay", "relay-2");
	struct member three = member("push", "relay-3");

	two.entry.token = "token-of-somebody-else";
	registry_join(&one.entry);
	registry_join(&two.entry);
	registry_join(&three.entry);
	WAIT_UNTIL(ask("EXISTS og:registry:relay:relay-1 og:registry:relay:relay-2 "
	               "og:registry:push:relay-3") == 3);
	ask("ZADD og:registry:relay 99999999999999 relay-3 99999999999999 relay-4 "
	    "99999999999999 relay-5");
	ask("COPY og:registry:push:relay-3 og:registry:relay:relay-3");
	ask("COPY og:registry:relay:relay-1 og:registry:relay:relay-4");
	ask("SET og:registry:relay:relay-5 {\"id\":\"relay-5\"}");
	registry_watch_start(&reader.watch);
	WAIT_UNTIL(reader.readings == 2);
	ck_assert_ptr_nonnull(
	        strstr(logged_end(&logged), "registry-record-refused kind=relay id="));
	ck_assert_uint_eq(json_object_size(reader.records), 1);
	ck_assert_ptr_nonnull(json_object_get(reader.records, "relay-1"));
	registry_leave(&one.entry);
	registry_leave(&two.entry);
	registry_leave(&three.entry);
}
END_TEST

START_TEST(while_redis_is_away_nothing_is_read_and_after_it_all_goes_on)
{
	struct member one = member("relay", "relay-1");
	int readings;

	registry_join(&one.entry);
	registry_watch_start(&reader.watch);
	WAIT_UNTIL(reader.readings >= 1);
	redis_server_kill(&server);
	turn_for(50);
	readings = reader.readings;
	turn_for(REGISTRY_BEAT_MS + 200);
	ck_assert_int_eq(reader.readings, readings);
	redis_server_start(&server); /* empty, as after a crash without persistence */
	WAIT_UNTIL(reader.readings > readings && json_object_size(reader.records) == 1);
	registry_leave(&one.entry);
}
END_TEST

static void stop_watch(struct registry_watch *watch, const json_t *records)
{
	on_records(watch, records);
	registry_watch_stop(watch);
}

/* Turns the loop for MS milliseconds; how often TEXT was logged meanwhile. */
static int count_logged(const char *text, uint64_t ms)
{
	struct logged logged = logged_start();
	int count = 0;

	turn_for(ms);
	for (const char *at = logged_end(&logged); (at = strstr(at, text)) != NULL; at++)
		count++;
	return count;
}

START_TEST(a_redis_that_refuses_is_logged_once_until_it_does_no_more)
{
	struct member relay = member("relay", "one");

	registry_join(&relay.entry);
	registry_watch_start(&reader.watch);
	WAIT_UNTIL(reader.readings > 0);
	ask("ACL SETUSER default -evalsha");
	ck_assert_int_eq(count_logged("registry-write-failed", 2500), 1);
	ck_assert_int_eq(count_logged("registry-", 1500), 0);
	ask("ACL SETUSER default +evalsha");
	ck_assert_int_eq(count_logged("registry-", 1500), 0);
	ask("ACL SETUSER default -evalsha");
	ck_assert_int_eq(count_logged("registry-read-failed", 1500), 1);
	registry_watch_stop(&reader.watch);
	registry_leave(&relay.entry);
}
END_TEST

START_TEST(a_watch_may_be_stopped_in_its_callback)
{
	struct reader once = { .watch = { stop_watch, "relay", redis } };

	registry_watch_start(&once.watch);
	WAIT_UNTIL(once.readings == 1);
	turn_for(REGISTRY_BEAT_MS + 200);
	ck_assert_int_eq(once.readings, 1);
	json_decref(once.records);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_old_record_that_is_shown_once_more_is_not_believed,
		members_of_a_kind_are_read_with_their_records,
		a_record_is_made_only_once_there_is_a_connection,
		a_wildcard_is_reached_where_redis_sees_the_machine,
		what_the_operator_says_comes_first_and_no_listener_is_null,
		the_place_is_the_local_address_of_the_connection_to_redis,
		a_reading_without_members_is_an_empty_object,
		a_record_is_renewed_each_beat_and_at_once_when_touched,
		every_key_expires_by_itself_within_the_ttl,
		a_member_that_leaves_is_gone_at_once_even_if_the_process_ends_then,
		a_process_that_leaves_late_keeps_the_record_of_its_successor,
		a_start_that_finds_its_id_in_use_ends_and_names_both_hosts,
		a_start_after_a_crash_waits_until_the_old_record_has_expired,
		a_start_replaces_the_record_of_a_process_that_is_no_more,
		a_record_that_the_fleet_did_not_sign_holds_nobody_up,
		a_key_that_is_no_record_or_never_expires_holds_nobody_up,
		while_the_fleet_changes_its_token_a_record_with_the_old_one_counts,
		only_a_process_that_could_be_seen_can_be_found_dead,
		one_that_runs_and_loses_its_record_to_another_goes_on,
		a_member_whose_record_has_expired_leaves_the_index_too,
		a_member_that_died_is_not_read_and_its_place_in_the_index_goes,
		a_record_that_is_no_json_object_is_left_out,
		a_record_that_the_fleet_did_not_sign_is_left_out_and_told,
		while_redis_is_away_nothing_is_read_and_after_it_all_goes_on,
		a_redis_that_refuses_is_logged_once_until_it_does_no_more,
		a_watch_may_be_stopped_in_its_callback,
	};

	return unit_run("registry", tests, ARRAY_LEN(tests), setup, teardown);
}
