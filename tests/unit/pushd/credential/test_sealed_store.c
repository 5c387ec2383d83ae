#include "pushd/credential/sealed_store.c"

#include "tests/unit/redis_server.h"
#include "tests/unit/redis_tell.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER_KEY "f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct redis_server server;
static struct conf conf;
static char path[64];

/* A call with what came of it. */
struct asked {
	struct sealed_store_call call;
	enum sealed_store_result result;
	char *text;
	unsigned done;
};

static struct asked asked, other;

static void on_done(struct sealed_store_call *call, enum sealed_store_result result,
                    const char *text)
{
	struct asked *own = container_of(call, struct asked, call);

	own->result = result;
	free(own->text);
	own->text = mem_dup(text);
	own->done++;
}

static void write_key(const char *key)
{
	FILE *file = fopen(path, "w");

	fputs(key, file);
	fclose(file);
}

static void start_all(void)
{
	ck_assert_int_eq(db_module.start(&conf), 0);
	ck_assert_int_eq(sealed_store_module.start(&conf), 0);
	WAIT_UNTIL(redis_connected(db_redis()));
}

static void stop_all(void)
{
	sealed_store_forget(&asked.call);
	sealed_store_forget(&other.call);
	sealed_store_module.stop();
	db_module.stop();
}

#define DIGITS "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"
#define PURPOSE "push:credential:apns-main"
#define TEXT "-----BEGIN PRIVATE KEY-----\nhush\n"

static struct master_key sealing_key, other_key;

static void make_keys(void)
{
	ck_assert_int_eq(read_key(&sealing_key, DIGITS), 0);
	other_key = sealing_key;
	other_key.bytes[31] ^= 1;
}

static void setup(void)
{
	make_keys();
	log_init("unit", LOG_ERROR);
	loop_init();
	snprintf(path, sizeof(path), "/tmp/og-unit-XXXXXX");
	close(mkstemp(path));
	write_key(KEY "\n");
	redis_server_init(&server);
	redis_server_start(&server);
	conf.daemon.redis = server.url;
	conf.daemon.redis_prefix = (char *)"og:";
	conf.daemon.master_key_file = path;
	asked.call.done = other.call.done = on_done;
	start_all();
}

static void teardown(void)
{
	stop_all();
	free(asked.text);
	free(other.text);
	redis_server_release(&server);
	unlink(path);
	loop_release();
}

static void settle(struct asked *own)
{
	own->done = 0;
	WAIT_UNTIL(own->done == 1);
	ck_assert(!sealed_store_busy(&own->call));
}

static void put(const char *name, const char *text, int64_t life_ms)
{
	sealed_store_put(&asked.call, name, text, life_ms);
	settle(&asked);
}

static void get(struct asked *own, const char *name)
{
	sealed_store_get(&own->call, name);
	settle(own);
}

START_TEST(what_was_put_is_got_and_the_same_is_not_told_twice)
{
	put("a", "secret", 0);
	ck_assert_int_eq(asked.result, SEALED_DONE);
	get(&asked, "a");
	ck_assert_int_eq(asked.result, SEALED_DONE);
	ck_assert_str_eq(asked.text, "secret");
	get(&asked, "a");
	ck_assert_int_eq(asked.result, SEALED_SAME);
	ck_assert_ptr_null(asked.text);
	get(&other, "a");
	ck_assert_msg(other.result == SEALED_DONE, "each call remembers for itself");
	put("a", "another", 0);
	get(&asked, "a");
	ck_assert_str_eq(asked.text, "another");
}
END_TEST

START_TEST(what_was_removed_or_never_put_is_none)
{
	get(&asked, "a");
	ck_assert_int_eq(asked.result, SEALED_NONE);
	put("a", "secret", 0);
	get(&asked, "a");
	sealed_store_remove(&other.call, "a");
	settle(&other);
	ck_assert_int_eq(other.result, SEALED_DONE);
	get(&asked, "a");
	ck_assert_int_eq(asked.result, SEALED_NONE);
	put("a", "secret", 0);
	get(&asked, "a");
	ck_assert_msg(asked.result == SEALED_DONE, "it is news again");
}
END_TEST

START_TEST(what_has_a_life_is_gone_after_it)
{
	put("a", "secret", 20);
	do
		get(&asked, "a");
	while (asked.result != SEALED_NONE);
}
END_TEST

static void on_raw(struct redis_call *call, const struct redisReply *reply)
{
	ck_assert_ptr_nonnull(redis_reply_string(reply, NULL));
	ck_assert_ptr_null(strstr(redis_reply_string(reply, NULL), "secret"));
}

START_TEST(redis_sees_no_secret_and_what_is_moved_to_another_name_cannot_be_opened)
{
	struct redis_call raw = { .done = on_raw };

	put("a", "secret", 0);
	redis_tell(server.url, "COPY og:a og:b");
	redis_command(db_redis(), &raw, "GET og:a");
	WAIT_UNTIL(!redis_busy(&raw));
	get(&asked, "b");
	ck_assert_int_eq(asked.result, SEALED_UNREADABLE);
	ck_assert_ptr_null(asked.text);
}
END_TEST

START_TEST(another_master_key_opens_nothing)
{
	put("a", "secret", 0);
	stop_all();
	write_key(OTHER_KEY);
	start_all();
	get(&asked, "a");
	ck_assert_int_eq(asked.result, SEALED_UNREADABLE);
}
END_TEST

static int64_t life_ms;

static void on_life(struct redis_call *call, const struct redisReply *reply)
{
	life_ms = redis_reply_integer(reply, 0);
}

/* The next start has OTHER_KEY as its first key, and KEY beside it. */
static void change_keys(char also_path[80])
{
	stop_all();
	snprintf(also_path, 80, "%s.also", path);
	ck_assert_int_eq(rename(path, also_path), 0);
	write_key(OTHER_KEY);
	conf.daemon.master_key_file_also = also_path;
	start_all();
}

START_TEST(what_the_key_beside_opens_is_sealed_anew_with_the_first)
{
	struct redis_call life = { .done = on_life };
	char also_path[80];

	put("a", "secret", 60000);
	change_keys(also_path);
	get(&asked, "a");
	ck_assert_int_eq(asked.result, SEALED_DONE);
	ck_assert_str_eq(asked.text, "secret");
	WAIT_UNTIL(asked.call.anew == NULL);
	get(&asked, "a");
	ck_assert_int_eq(asked.result, SEALED_SAME);
	stop_all();
	conf.daemon.master_key_file_also = NULL;
	unlink(also_path);
	start_all();
	get(&other, "a");
	ck_assert_int_eq(other.result, SEALED_DONE);
	ck_assert_str_eq(other.text, "secret");
	redis_command(db_redis(), &life, "PTTL og:a");
	WAIT_UNTIL(!redis_busy(&life));
	ck_assert_int_gt(life_ms, 0);
}
END_TEST

START_TEST(what_was_set_meanwhile_is_not_replaced_by_the_old_one)
{
	put("a", "newer", 0);
	get(&asked, "a");
	see(&asked.call, "what it was");
	reseal(&asked.call, "older");
	WAIT_UNTIL(asked.call.anew == NULL);
	ck_assert_ptr_null(asked.call.seen);
	get(&asked, "a");
	ck_assert_int_eq(asked.result, SEALED_DONE);
	ck_assert_str_eq(asked.text, "newer");
}
END_TEST

START_TEST(a_key_beside_the_first_that_cannot_be_read_ends_the_start)
{
	stop_all();
	conf.daemon.master_key_file_also = (char *)"/nowhere";
	ck_assert_int_eq(db_module.start(&conf), 0);
	ck_assert_int_eq(sealed_store_module.start(&conf), -1);
}
END_TEST

START_TEST(a_lock_is_taken_once_until_its_life_is_over)
{
	sealed_store_lock(&asked.call, "lock", 60000);
	settle(&asked);
	ck_assert_int_eq(asked.result, SEALED_DONE);
	sealed_store_lock(&other.call, "lock", 60000);
	settle(&other);
	ck_assert_int_eq(other.result, SEALED_NONE);
	redis_tell(server.url, "PEXPIRE og:lock 1");
	do {
		sealed_store_lock(&other.call, "lock", 60000);
		settle(&other);
	} while (other.result == SEALED_NONE);
	ck_assert_int_eq(other.result, SEALED_DONE);
}
END_TEST

START_TEST(a_redis_that_takes_no_writes_refuses_and_one_that_is_away_is_away)
{
	put("a", "secret", 0);
	redis_tell(server.url, "CONFIG SET min-replicas-to-write 1");
	put("a", "another", 0);
	ck_assert_int_eq(asked.result, SEALED_REFUSED);
	sealed_store_lock(&asked.call, "lock", 60000);
	settle(&asked);
	ck_assert_int_eq(asked.result, SEALED_REFUSED);
	get(&asked, "a");
	ck_assert_str_eq(asked.text, "secret");
	redis_server_kill(&server);
	get(&asked, "a");
	ck_assert_int_eq(asked.result, SEALED_UNAVAILABLE);
	put("a", "another", 0);
	ck_assert_int_eq(asked.result, SEALED_UNAVAILABLE);
}
END_TEST

START_TEST(a_forgotten_call_is_not_done)
{
	asked.done = 0;
	sealed_store_get(&asked.call, "a");
	ck_assert(sealed_store_busy(&asked.call));
	sealed_store_forget(&asked.call);
	ck_assert(!sealed_store_busy(&asked.call));
	get(&other, "a"); /* Redis answers in order */
	ck_assert_uint_eq(asked.done, 0);
}
END_TEST

START_TEST(a_master_key_file_at_fault_is_named)
{
	char *why = NULL;

	ck_assert_int_eq(sealed_store_check(path, &why), 0);
	write_key("0123");
	ck_assert_int_eq(sealed_store_check(path, &why), -1);
	ck_assert_ptr_nonnull(strstr(why, "has no key of 32 bytes in 64 hex digits"));
	free(why);
	ck_assert_int_eq(sealed_store_check("/nowhere", &why), -1);
	ck_assert_ptr_nonnull(strstr(why, "/nowhere: No such file"));
	free(why);
}
END_TEST

START_TEST(without_a_master_key_file_it_is_not_usable)
{
	ck_assert(sealed_store_usable());
	sealed_store_module.stop();
	ck_assert(!sealed_store_usable());
	conf.daemon.master_key_file = NULL;
	ck_assert_int_eq(sealed_store_module.start(&conf), 0);
	ck_assert(!sealed_store_usable());
}
END_TEST

/* ---- sealing ---- */

START_TEST(a_key_is_64_hex_digits_and_nothing_else)
{
	struct master_key read;

	ck_assert_int_eq(read_key(&read, " \n" DIGITS "\n"), 0);
	for (unsigned i = 0; i < KEY_BYTES; i++)
		ck_assert_uint_eq(read.bytes[i], i);
	ck_assert_int_eq(read_key(&read, ""), -1);
	ck_assert_int_eq(read_key(&read, DIGITS "0"), -1);
	ck_assert_int_eq(read_key(&read, DIGITS " 00"), -1);
	ck_assert_int_eq(read_key(&read, &DIGITS[1]), -1);
	ck_assert_int_eq(read_key(&read, "g" DIGITS), -1);
}
END_TEST

START_TEST(what_was_sealed_comes_back_and_never_looks_the_same)
{
	char *one = seal(&sealing_key, PURPOSE, TEXT), *two = seal(&sealing_key, PURPOSE, TEXT);
	char *text = unseal(&sealing_key, PURPOSE, one);

	ck_assert_str_eq(text, TEXT);
	ck_assert_str_ne(one, two);
	ck_assert_ptr_null(strstr(one, "BEGIN"));
	free(text);
	free(two);
	free(one);
	one = seal(&sealing_key, PURPOSE, "");
	text = unseal(&sealing_key, PURPOSE, one);
	ck_assert_str_eq(text, "");
	free(text);
	free(one);
}
END_TEST

START_TEST(another_key_or_another_purpose_opens_nothing)
{
	char *sealed = seal(&sealing_key, PURPOSE, TEXT);

	ck_assert_ptr_null(unseal(&other_key, PURPOSE, sealed));
	ck_assert_ptr_null(unseal(&sealing_key, "push:credential:apns-mine", sealed));
	ck_assert_ptr_null(unseal(&sealing_key, "", sealed));
	free(sealed);
}
END_TEST

START_TEST(a_change_of_any_byte_is_noticed)
{
	char *sealed = seal(&sealing_key, PURPOSE, TEXT), *spoiled;
	size_t len;
	char *bytes = base64_decode(sealed, &len);

	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		spoiled = base64_encode(bytes, len);
		ck_assert_ptr_null(unseal(&sealing_key, PURPOSE, spoiled));
		free(spoiled);
		bytes[i] ^= 1;
		spoiled = base64_encode(bytes, i);
		ck_assert_ptr_null(unseal(&sealing_key, PURPOSE, spoiled));
		free(spoiled);
	}
	ck_assert_ptr_null(unseal(&sealing_key, PURPOSE, ""));
	ck_assert_ptr_null(unseal(&sealing_key, PURPOSE, "no base64!"));
	free(bytes);
	free(sealed);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_was_put_is_got_and_the_same_is_not_told_twice,
		what_was_removed_or_never_put_is_none,
		what_has_a_life_is_gone_after_it,
		redis_sees_no_secret_and_what_is_moved_to_another_name_cannot_be_opened,
		another_master_key_opens_nothing,
		what_the_key_beside_opens_is_sealed_anew_with_the_first,
		what_was_set_meanwhile_is_not_replaced_by_the_old_one,
		a_key_beside_the_first_that_cannot_be_read_ends_the_start,
		a_lock_is_taken_once_until_its_life_is_over,
		a_redis_that_takes_no_writes_refuses_and_one_that_is_away_is_away,
		a_forgotten_call_is_not_done,
		a_master_key_file_at_fault_is_named,
		without_a_master_key_file_it_is_not_usable,
		a_key_is_64_hex_digits_and_nothing_else,
		what_was_sealed_comes_back_and_never_looks_the_same,
		another_key_or_another_purpose_opens_nothing,
		a_change_of_any_byte_is_noticed,
	};

	return unit_run("sealed_store", tests, ARRAY_LEN(tests), setup, teardown);
}
