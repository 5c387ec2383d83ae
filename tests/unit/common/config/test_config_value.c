#include "common/config/config_value.c"

#include <stdio.h>

#include "tests/unit/unit.h"

struct values {
	char *text;
	char **list;
	int64_t number;
	bool yes;
	int choice;
};

static const char *const colours[] = { "red", "green", NULL };
static struct values values;

/* clang-format off */
static const struct config_key text = { "text", CONFIG_STRING, offsetof(struct values, text) };
static const struct config_key secret = { "secret", CONFIG_SECRET, offsetof(struct values, text) };
static const struct config_key address = { "address", CONFIG_ADDRESS, offsetof(struct values, text) };
static const struct config_key redis = { "redis", CONFIG_REDIS, offsetof(struct values, text), "none" };
static const struct config_key list = { "list", CONFIG_LIST, offsetof(struct values, list) };
static const struct config_key integer = { "integer", CONFIG_INTEGER, offsetof(struct values, number) };
static const struct config_key size = { "size", CONFIG_SIZE, offsetof(struct values, number) };
static const struct config_key limit = { "limit", CONFIG_LIMIT, offsetof(struct values, number) };
static const struct config_key duration = { "duration", CONFIG_DURATION, offsetof(struct values, number) };
static const struct config_key yes_or_no = { "yes", CONFIG_BOOLEAN, offsetof(struct values, yes) };
static const struct config_key colour = { "colour", CONFIG_CHOICE, offsetof(struct values, choice), .choices = colours };
/* clang-format on */

/* INPUT is taken, and is printed as OUTPUT. */
static void take(const struct config_key *key, const char *input, const char *output)
{
	struct buf out = { 0 };
	char *printed;

	memset(&values, 0, sizeof(values));
	ck_assert_ptr_null(config_value_parse(key, &values, input));
	config_value_print(key, &values, &out);
	printed = buf_take(&out);
	ck_assert_str_eq(printed, output);
	free(printed);
	config_value_release(key, &values);
}

static void refuse(const struct config_key *key, const char *input, const char *complaint)
{
	char *wrong;

	memset(&values, 0, sizeof(values));
	wrong = config_value_parse(key, &values, input);
	ck_assert_ptr_nonnull(wrong);
	ck_assert_str_eq(wrong, complaint);
	free(wrong);
	config_value_release(key, &values);
}

START_TEST(a_redis_is_none_or_a_url_that_is_shown_without_its_password)
{
	take(&redis, "none", "none");
	take(&redis, "redis://host", "redis://host");
	take(&redis, "unix:///run/a@b:c/redis.sock?db=1", "unix:///run/a@b:c/redis.sock?db=1");
	take(&redis, "redis://:opensesame@host:1/2", "redis://:(hidden)@host:1/2");
	take(&redis, "redis://user:open:se@same@[::1]:1", "redis://user:(hidden)@[::1]:1");
	refuse(&redis, "", "must not be empty");
	refuse(&redis, "host:6379", "it must begin with redis:// or unix://");
	refuse(&redis, "redis://opensesame@host",
	       "before the @ there must be user:password or :password");
}
END_TEST

START_TEST(what_has_a_default_is_not_left_empty_by_mistake)
{
	struct config_key key = text;

	take(&key, "", "");
	key.fallback = "x";
	refuse(&key, "", "must not be empty");
	key.fallback = NULL;
	key.never_empty = true;
	refuse(&key, "", "must not be empty");
}
END_TEST

START_TEST(what_is_no_utf_8_is_refused)
{
	take(&text, "\xc3\xa9", "\xc3\xa9");
	refuse(&text, "\xff", "is not UTF-8");
	refuse(&list, "a, \xc3", "is not UTF-8");
}
END_TEST

START_TEST(strings_are_taken_as_they_are_and_nothing_is_null)
{
	take(&text, "a ; b", "a ; b");
	take(&text, "", "");
	ck_assert_ptr_null(config_value_parse(&text, &values, ""));
	ck_assert_ptr_null(values.text);
	refuse(&text, "a\nb", "has a control character");
	refuse(&text, "\x7f", "has a control character");
}
END_TEST

START_TEST(the_secret_of_the_samples_is_refused)
{
	const char *why =
	        "is still change-me: choose a secret, or let deploy/make-secrets write it";

	refuse(&secret, "change-me", why);
	take(&secret, "change-me-not", "(hidden)");
	take(&text, "change-me", "change-me");
	refuse(&redis, "redis://:change-me@host",
	       "its password is still change-me: choose a secret, or let deploy/make-secrets "
	       "write it");
	take(&redis, "redis://change-me:x@host", "redis://change-me:(hidden)@host");
}
END_TEST

START_TEST(secrets_are_read_but_not_shown)
{
	take(&secret, "s3cret", "(hidden)");
	take(&secret, "", "");
	ck_assert_ptr_null(config_value_parse(&secret, &values, "s3cret"));
	ck_assert_str_eq(values.text, "s3cret");
	config_value_release(&secret, &values);
	ck_assert_ptr_null(values.text);
}
END_TEST

START_TEST(addresses_need_a_host_and_a_port)
{
	take(&address, "proxy.example.org:5347", "proxy.example.org:5347");
	take(&address, "[::1]:0", "[::1]:0");
	take(&address, "", "");
	refuse(&address, "localhost", "\"localhost\" is not an address (host:port or [IPv6]:port)");
	refuse(&address, "a:70000", "\"a:70000\" is not an address (host:port or [IPv6]:port)");
}
END_TEST

START_TEST(lists_are_split_at_commas_and_trimmed)
{
	take(&list, " a,b ,\tc d", "a, b, c d");
	take(&list, "one", "one");
	take(&list, "", "");
	ck_assert_ptr_null(config_value_parse(&list, &values, ""));
	ck_assert_ptr_nonnull(values.list);
	ck_assert_ptr_null(values.list[0]);
	config_value_release(&list, &values);
	refuse(&list, "a,,b", "the list has an empty item");
	refuse(&list, "a, ", "the list has an empty item");
	refuse(&list, " ", "the list has an empty item");
}
END_TEST

START_TEST(integers_are_whole_and_fit)
{
	take(&integer, "0", "0");
	take(&integer, "-1", "-1");
	take(&integer, "9223372036854775807", "9223372036854775807");
	refuse(&integer, "9223372036854775808", "\"9223372036854775808\" is not a whole number");
	refuse(&integer, "", "\"\" is not a whole number");
	refuse(&integer, "+1", "\"+1\" is not a whole number");
	refuse(&integer, "1.5", "\"1.5\" is not a whole number");
	refuse(&integer, "0x10", "\"0x10\" is not a whole number");
	refuse(&integer, "1k", "\"1k\" is not a whole number");
	refuse(&integer, "-", "\"-\" is not a whole number");
}
END_TEST

START_TEST(limits_are_megabytes_or_say_their_unit_and_may_forbid)
{
	const char *const wrong[] = { "-2", "-1M", "1.5", "M", "", "1MB", "1b", "8T1", "8192T" };

	ck_assert_ptr_null(config_value_parse(&limit, &values, "3000"));
	ck_assert_int_eq(values.number, INT64_C(3000) * 1048576);
	take(&limit, "3000", "3000M");
	take(&limit, "3000B", "3000B");
	take(&limit, "1536B", "1536B");
	take(&limit, "2048B", "2k");
	take(&limit, "10M", "10M");
	take(&limit, "3G", "3G");
	take(&limit, "2T", "2T");
	take(&limit, "0", "0");
	take(&limit, "-1", "-1");
	take(&limit, "9007199254740991B", "9007199254740991B");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char complaint[200];

		snprintf(complaint, sizeof(complaint),
		         "\"%s\" is not a limit (a number of MB, or with B, k, M, G or T; "
		         "0: none, -1: forbidden)",
		         wrong[i]);
		refuse(&limit, wrong[i], complaint);
	}
}
END_TEST

START_TEST(sizes_have_binary_units_and_no_sign)
{
	take(&size, "1024", "1k");
	take(&size, "1536", "1536");
	take(&size, "3M", "3M");
	take(&size, "4096G", "4T");
	take(&size, "8388607T", "8388607T");
	refuse(&size, "8388608T",
	       "\"8388608T\" is not a size (a number of bytes, or with k, M, G or T)");
	refuse(&size, "16777217T",
	       "\"16777217T\" is not a size (a number of bytes, or with k, M, G or T)");
	refuse(&size, "1m", "\"1m\" is not a size (a number of bytes, or with k, M, G or T)");
	refuse(&size, "-1", "\"-1\" is not a size (a number of bytes, or with k, M, G or T)");
}
END_TEST

START_TEST(durations_are_seconds_unless_they_say_otherwise)
{
	take(&duration, "10", "10s");
	take(&duration, "1500ms", "1500ms");
	take(&duration, "90s", "90s");
	take(&duration, "120s", "2m");
	take(&duration, "48h", "2d");
	take(&duration, "0", "0");
	refuse(&duration, "1w", "\"1w\" is not a duration (a number with ms, s, m, h or d)");
	refuse(&duration, "5 m", "\"5 m\" is not a duration (a number with ms, s, m, h or d)");
	refuse(&duration, "106751991168d",
	       "\"106751991168d\" is not a duration (a number with ms, s, m, h or d)");
}
END_TEST

START_TEST(ranges_are_told_in_the_unit_of_the_key)
{
	struct config_key ranged = duration;

	ranged.least = 100;
	ranged.most = 600000;
	refuse(&ranged, "11m", "must be from 100ms to 10m");
	refuse(&ranged, "99ms", "must be from 100ms to 10m");
	take(&ranged, "100ms", "100ms");
	take(&ranged, "10m", "10m");
	ranged = integer;
	ranged.least = -1;
	refuse(&ranged, "-2", "must be from -1 to 0");
}
END_TEST

START_TEST(booleans_and_choices_take_their_words_only)
{
	take(&yes_or_no, "yes", "yes");
	take(&yes_or_no, "no", "no");
	refuse(&yes_or_no, "true", "\"true\" is neither yes nor no");
	take(&colour, "green", "green");
	refuse(&colour, "blue", "\"blue\" is none of red, green");
	refuse(&colour, "", "\"\" is none of red, green");
}
END_TEST

START_TEST(a_complaint_quotes_only_the_start_of_a_long_value)
{
	char input[500], expected[200];

	memset(input, 'x', sizeof(input) - 1);
	input[sizeof(input) - 1] = '\0';
	snprintf(expected, sizeof(expected), "\"%.60s\" is neither yes nor no", input);
	refuse(&yes_or_no, input, expected);
}
END_TEST

START_TEST(values_are_compared_and_exchanged)
{
	static const struct {
		const struct config_key *key;
		const char *one, *other;
	} cases[] = {
		{ &text, "a", "b" },         { &text, "a", "" },          { &list, "a, b", "a" },
		{ &list, "a, b", "a, c" },   { &list, "a", "a, b" },      { &integer, "1", "2" },
		{ &yes_or_no, "yes", "no" }, { &colour, "red", "green" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct config_key *key = cases[i].key;
		struct values one = { 0 }, other = { 0 }, same = { 0 };

		config_value_parse(key, &one, cases[i].one);
		config_value_parse(key, &other, cases[i].other);
		config_value_parse(key, &same, cases[i].other);
		ck_assert(!config_value_equal(key, &one, &other));
		ck_assert(config_value_equal(key, &same, &other));
		config_value_swap(key, &one, &other);
		ck_assert(config_value_equal(key, &one, &same));
		ck_assert(!config_value_equal(key, &other, &same));
		config_value_release(key, &one);
		config_value_release(key, &other);
		config_value_release(key, &same);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_redis_is_none_or_a_url_that_is_shown_without_its_password,
		what_has_a_default_is_not_left_empty_by_mistake,
		what_is_no_utf_8_is_refused,
		strings_are_taken_as_they_are_and_nothing_is_null,
		the_secret_of_the_samples_is_refused,
		secrets_are_read_but_not_shown,
		addresses_need_a_host_and_a_port,
		lists_are_split_at_commas_and_trimmed,
		integers_are_whole_and_fit,
		limits_are_megabytes_or_say_their_unit_and_may_forbid,
		sizes_have_binary_units_and_no_sign,
		durations_are_seconds_unless_they_say_otherwise,
		ranges_are_told_in_the_unit_of_the_key,
		booleans_and_choices_take_their_words_only,
		a_complaint_quotes_only_the_start_of_a_long_value,
		values_are_compared_and_exchanged,
	};

	return unit_run("config_value", tests, ARRAY_LEN(tests), NULL, NULL);
}
