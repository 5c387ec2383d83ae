#include "xmppgw/adhoc/fields.c"

#include "common/base/log.h"
#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"

static char *role_names[] = { (char *)"relay", NULL };
static const struct conf_component component = {
	.domain = (char *)"proxy.example.org",
	.roles = role_names,
};
static const char *const colours[] = { "red", "green", "blue", NULL };

static size_t offer_two(const char **values)
{
	values[0] = "one";
	values[1] = "two";
	return 2;
}

/* clang-format off */
static const struct field fields[] = {
	{ "text", "Text", FIELD_TEXT, FIELD_REQUIRED },
	{ "colour", "Colour", FIELD_CHOICE, .choices = colours },
	{ "number", "Number", FIELD_CHOICE, FIELD_RECOMMENDED, .offer = offer_two },
	{ "account", "Account", FIELD_ACCOUNT },
	{ "limit", "Limit", FIELD_LIMIT },
	{ "bytes", "Bytes", FIELD_BYTES },
	{ "month", "Month", FIELD_MONTH },
	{ "hash", "Hash", FIELD_HASH },
	{ NULL },
};
/* clang-format on */
static struct stream *stream;
static struct field_values values;

static void on_change(struct stream *which)
{
}

static void setup(void)
{
	log_init("test_fields", LOG_ERROR);
	loop_init();
	stream = mem_alloc(1, sizeof(*stream));
	stream_init(stream, &component);
	stream->on_change = on_change;
	stream->state = STREAM_UP;
	ck_assert_int_eq(iq_module.start(NULL), 0);
}

static void teardown(void)
{
	iq_module.stop();
	task_stop(&stream->flush);
	buf_release(&stream->output);
	free(stream);
	loop_release();
}

#define FIELD(var, value) "<field var='" var "'><value>" value "</value></field>"
#define TEXT FIELD("text", "x")

/* Reads a form with CONTENT; the reader is kept for as long as VALUES borrow from it. */
static bool read_form(const char *content)
{
	static struct xml_reader *reader;
	char *text = mem_printf("<x xmlns='jabber:x:data'>%s</x>", content);
	struct iq *iq = iq_new(stream, "proxy.example.org", "a@b", "i1", 1000);
	bool read;

	xml_reader_free(reader);
	read = fields_read(fields, stanza_parse(&reader, text), iq, &values);
	free(text);
	ck_assert_uint_eq(stream->iq_count, read ? 1 : 0);
	if (read)
		iq_result(iq);
	return read;
}

START_TEST(what_is_left_empty_has_its_default)
{
	char month[FIELD_MONTH_LEN + 1];

	ck_assert(read_form(TEXT FIELD("colour", "") FIELD("unknown", "y")));
	ck_assert_str_eq(fields_get(&values, "text")->text, "x");
	ck_assert_str_eq(fields_get(&values, "colour")->text, "red");
	ck_assert_ptr_null(fields_get(&values, "number")->text);
	ck_assert_ptr_null(fields_get(&values, "account")->text);
	ck_assert_ptr_null(fields_get(&values, "limit")->text);
	ck_assert_int_eq(fields_get(&values, "limit")->bytes, 0);
	ck_assert_str_eq(fields_get(&values, "month")->text, this_month(month));
	ck_assert_uint_eq(strlen(month), FIELD_MONTH_LEN);
}
END_TEST

START_TEST(each_kind_is_read_as_what_it_is)
{

	ck_assert(read_form(TEXT FIELD("colour", "blue") FIELD("number", "three")
	                            FIELD("account", " User@Example.ORG ") FIELD("limit", "-1")
	                                    FIELD("bytes", "1k") FIELD("month", "202611")
	                                            FIELD("hash", "0123456789abcdef0123456789"
	                                                          "abcdef01234567")));
	ck_assert_ptr_eq(fields_get(&values, "colour")->text, colours[2]);
	ck_assert_str_eq(fields_get(&values, "number")->text, "three");
	ck_assert_str_eq(fields_get(&values, "account")->text, "user@example.org");
	ck_assert_int_eq(fields_get(&values, "limit")->bytes, -1);
	ck_assert_int_eq(fields_get(&values, "bytes")->bytes, 1024);
	ck_assert_str_eq(fields_get(&values, "month")->text, "202611");
}
END_TEST

/* clang-format off */
static const struct {
	const char *content, *condition, *text;
} wrong[] = {
	{ "", "bad-request", "text is missing." },
	{ FIELD("text", ""), "bad-request", "text is missing." },
	{ TEXT FIELD("colour", "pink"), "bad-request", "colour must be red, green or blue." },
	{ TEXT FIELD("account", "a@b/c"), "jid-malformed", "account must be user@domain or a" },
	{ TEXT FIELD("limit", "much"), "bad-request", "limit: &quot;much&quot; is not a limit" },
	{ TEXT FIELD("bytes", "0"), "bad-request", "bytes must be more than 0." },
	{ TEXT FIELD("bytes", "-1"), "bad-request", "bytes must be more than 0." },
	{ TEXT FIELD("month", "2026-1"), "bad-request", "month must be YYYYMM." },
	{ TEXT FIELD("hash", "../../drain"), "bad-request", "hash must be 40 hex digits." },
};
/* clang-format on */

START_TEST(what_is_wrong_is_answered_with_the_fields_name)
{
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char *got;

		ck_assert(!read_form(wrong[i].content));
		got = buf_take(&stream->output);
		ck_assert_msg(strstr(got, wrong[i].condition) != NULL, "%s", got);
		ck_assert_msg(strstr(got, wrong[i].text) != NULL, "%s", got);
		free(got);
	}
}
END_TEST

START_TEST(a_user_is_more_than_a_domain)
{
	static const char *const no_users[] = { "example.org", "@example.org", "a@", "a@b/c" };
	static const struct field user = { "user", "User", FIELD_USER };
	struct field_value value = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(no_users); i++) {
		char *complaint = read_user(&user, no_users[i], &values, &value);

		ck_assert_str_eq(complaint, "user must be user@domain.");
		ck_assert_ptr_null(value.text);
		free(complaint);
	}
	ck_assert_ptr_null(read_user(&user, "A@Example.org", &values, &value));
	ck_assert_str_eq(value.text, "a@example.org");
}
END_TEST

START_TEST(the_form_says_what_is_asked_for)
{
	struct buf out = { 0 };
	char month[FIELD_MONTH_LEN + 1], *expected, *got;

	expected = mem_printf(
	        "<field var='text' type='text-single' label='Text'><required/></field>"
	        "<field var='colour' type='list-single' label='Colour'><value>red</value>"
	        "<option label='red'><value>red</value></option>"
	        "<option label='green'><value>green</value></option>"
	        "<option label='blue'><value>blue</value></option></field>"
	        "<field var='number' type='list-single' label='Number'><required/>"
	        "<option label='one'><value>one</value></option>"
	        "<option label='two'><value>two</value></option></field>"
	        "<field var='account' type='jid-single' label='Account'/>"
	        "<field var='limit' type='text-single' label='Limit'/>"
	        "<field var='bytes' type='text-single' label='Bytes'/>"
	        "<field var='month' type='text-single' label='Month'><value>%s</value></field>"
	        "<field var='hash' type='text-single' label='Hash'/>",
	        this_month(month));
	fields_add(fields, NULL, &out);
	got = buf_take(&out);
	ck_assert_str_eq(got, expected);
	free(got);
	free(expected);
}
END_TEST

START_TEST(what_is_no_amount_is_complained_about)
{
	static const char *const no_amounts[] = {
		"x",  "-2", "1,5", "1.5G",     "1 M", "1Q", "0x10", "-1M", "99999999999999999999",
		"+5", "-",  " 5",  "8388608T",
	};
	char *complaint;

	for (size_t i = 0; i < ARRAY_LEN(no_amounts); i++) {
		char *content = mem_printf(TEXT FIELD("limit", "%s"), no_amounts[i]);

		ck_assert_msg(!read_form(content), "%s was taken", no_amounts[i]);
		ck_assert_int_eq(fields_get(&values, "limit")->bytes, 0);
		free(content);
	}
	complaint = read_limit(&fields[4], "", &values, &values.values[4]);
	ck_assert_ptr_nonnull(complaint);
	free(complaint);
}
END_TEST

START_TEST(times_are_days_or_moments)
{
	static const struct field field = { "from", "From", FIELD_TIME };
	struct field_values taken;
	struct field_value value;
	static const char *const odd[] = { "x",
		                           "2026-11",
		                           "2026-13-01",
		                           "2026-11-30T1",
		                           "2026-11-30T12:00:00",
		                           "2026-11-30T12:00:00Zx" };

	ck_assert_ptr_null(read_time(&field, "2026-11-30", &taken, &value));
	ck_assert_int_eq(value.at_ms, INT64_C(1795996800000));
	ck_assert_ptr_null(read_time(&field, "1970-01-01T00:00:09Z", &taken, &value));
	ck_assert_int_eq(value.at_ms, 9000);
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		char *why = read_time(&field, odd[i], &taken, &value);

		ck_assert_msg(why != NULL, "%s", odd[i]);
		free(why);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_is_left_empty_has_its_default,
		each_kind_is_read_as_what_it_is,
		what_is_wrong_is_answered_with_the_fields_name,
		the_form_says_what_is_asked_for,
		a_user_is_more_than_a_domain,
		what_is_no_amount_is_complained_about,
		times_are_days_or_moments,
	};

	return unit_run("fields", tests, ARRAY_LEN(tests), setup, teardown);
}
