#include "xmppgw/component/iq.c"

#include "common/base/log.h"
#include "tests/unit/unit.h"

#define ERROR(type, condition)                                                                     \
	"><error type='" type "'><" condition " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
#define REPLY(type) "<iq type='" type "' from='us.example' to='a@b/c' id='i&apos;1'"

static char *role_names[] = { (char *)"relay", NULL };
static const struct conf_component component = {
	.domain = (char *)"us.example",
	.roles = role_names,
};
static struct stream *stream;
static unsigned changes;

static void on_change(struct stream *which)
{
	changes++;
}

static void setup(void)
{
	log_init("test_iq", LOG_ERROR);
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
	ck_assert_uint_eq(stream->iq_count, 0);
	ck_assert_uint_eq(stream->iq_bytes, 0);
	task_stop(&stream->flush);
	buf_release(&stream->output);
	free(stream);
	loop_release();
}

static struct iq *new_iq(void)
{
	return iq_new(stream, "us.example", "a@b/c", "i'1", 60000);
}

/* What was written to the stream since the last call. */
static void is_sent(const char *expected)
{
	char *got = buf_take(&stream->output);

	ck_assert_str_eq(got, expected);
	free(got);
}

START_TEST(a_result_is_sent_once_and_the_iq_is_gone)
{
	struct iq *holder = NULL, *iq = new_iq();

	iq_hold(iq, &holder, 100);
	ck_assert_ptr_eq(holder, iq);
	ck_assert_uint_eq(stream->iq_count, 1);
	ck_assert_uint_gt(stream->iq_bytes, 100);
	iq_result(iq);
	is_sent(REPLY("result") "/>");
	ck_assert_ptr_null(holder);
	ck_assert_uint_eq(stream->iq_count, 0);
	ck_assert_uint_eq(stream->iq_bytes, 0);
	ck_assert_uint_eq(changes, 1);
	ck_assert_int_eq(outcome_numbers[OUTCOME_RESULT], 1);
}
END_TEST

START_TEST(a_payload_stands_between_begin_and_end)
{
	struct iq *iq = new_iq();

	buf_text(iq_begin(iq), "<x/>");
	iq_end(iq);
	is_sent(REPLY("result") "><x/></iq>");
}
END_TEST

START_TEST(every_condition_has_its_type_and_the_text_comes_last)
{
	iq_error(new_iq(), IQ_JID_MALFORMED, "It's <bad>.");
	is_sent(REPLY("error") ERROR("modify", "jid-malformed") "<text xmlns='" STANZAS_NS
	                                                        "' xml:lang='en'>It&apos;s "
	                                                        "&lt;bad&gt;.</text></error></iq>");
	for (unsigned i = 0; i < IQ_CONDITIONS; i++) {
		ck_assert_ptr_nonnull(errors[i].type);
		ck_assert_ptr_nonnull(outcome_names[OUTCOME_FIRST_ERROR + i]);
	}
	ck_assert_int_eq(outcome_numbers[OUTCOME_FIRST_ERROR + IQ_JID_MALFORMED], 1);
}
END_TEST

START_TEST(what_is_not_answered_in_time_is_temporary_trouble)
{
	struct iq *holder = NULL, *iq = new_iq();

	iq_hold(iq, &holder, 0);
	ck_assert(timer_active(&iq->deadline));
	iq->deadline.expired(&iq->deadline);
	is_sent(REPLY("error") ERROR("wait", "internal-server-error") "</error></iq>");
	ck_assert_ptr_null(holder);
	ck_assert_uint_eq(stream->iq_count, 0);
}
END_TEST

START_TEST(a_stream_that_is_down_loses_its_answers_and_they_are_counted)
{
	struct iq *iq;

	stream->state = STREAM_WAITING;
	iq_result(new_iq());
	iq_error(new_iq(), IQ_FORBIDDEN, NULL);
	iq = new_iq();
	buf_text(iq_begin(iq), "<x/>");
	iq_end(iq);
	ck_assert_uint_eq(buf_len(&stream->output), 0);
	ck_assert_int_eq(outcome_numbers[OUTCOME_LOST], 3);
	ck_assert_int_eq(outcome_numbers[OUTCOME_RESULT], 0);
}
END_TEST

START_TEST(a_stream_is_full_by_number_or_by_bytes)
{
	struct iq *holder;

	ck_assert(!iq_stream_is_full(stream));
	iq_hold(new_iq(), &holder, IQS_BYTES);
	ck_assert(iq_stream_is_full(stream));
	iq_result(holder);
	ck_assert(!iq_stream_is_full(stream));
	stream->iq_count = IQS_MAX;
	ck_assert(iq_stream_is_full(stream));
	stream->iq_count = 0;
}
END_TEST

START_TEST(stopping_frees_what_is_unanswered_without_a_word)
{
	struct iq *holder;

	iq_hold(new_iq(), &holder, 10);
	new_iq();
	iq_module.stop();
	ck_assert_ptr_null(holder);
	ck_assert_uint_eq(buf_len(&stream->output), 0);
	ck_assert_int_eq(outstanding, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_result_is_sent_once_and_the_iq_is_gone,
		a_payload_stands_between_begin_and_end,
		every_condition_has_its_type_and_the_text_comes_last,
		what_is_not_answered_in_time_is_temporary_trouble,
		a_stream_that_is_down_loses_its_answers_and_they_are_counted,
		a_stream_is_full_by_number_or_by_bytes,
		stopping_frees_what_is_unanswered_without_a_word,
	};

	return unit_run("iq", tests, ARRAY_LEN(tests), setup, teardown);
}
