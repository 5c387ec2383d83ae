#include "tests/fakes/headers.c"
#include "tests/fakes/request.c"
#include "tests/fakes/rule.c"
#include "tests/fakes/script.c"

#include "tests/unit/fake.h"
#include "tests/unit/unit.h"

static struct script script;
static struct json_reader reader;
static int64_t now_ms = FAKE_NOW_MS;
static enum environment environment;

static void teardown(void)
{
	script_clear(&script);
	environment = ENVIRONMENT_PRODUCTION;
}

/* Adds the rules in TEXT; how many. */
static size_t add(const char *text)
{
	json_t *rules = json_loads(text, JSON_DECODE_ANY, NULL);
	size_t count;

	ck_assert_ptr_nonnull(rules);
	count = script_add(&script, rules, now_ms, &reader);
	json_decref(rules);
	return count;
}

/* The status that the script wants for a request to PATH with BODY; 0: it has nothing to say. */
static unsigned status_with(const char *path, const char *body)
{
	const struct scripted *scripted;
	struct request request;

	fake_request(&request, "POST", path, body);
	request_complete(&request);
	request.environment = environment;
	scripted = script_match(&script, &request, now_ms);
	request_release(&request);
	return scripted == NULL ? 0 : scripted->status;
}

static unsigned status_of(const char *path)
{
	return status_with(path, "{\"message\":{\"token\":\"f1\"}}");
}

START_TEST(an_empty_script_answers_nothing)
{
	ck_assert_uint_eq(status_of("/3/device/ab"), 0);
	ck_assert_uint_eq(add("[]"), 0);
	ck_assert(json_reader_ok(&reader));
	ck_assert_uint_eq(status_of("/3/device/ab"), 0);
}
END_TEST

START_TEST(a_rule_answers_the_nth_request_of_its_token_and_no_other)
{
	ck_assert_uint_eq(
	        add("[{\"match\":{\"token\":\"ab\",\"nth\":3},\"answer\":{\"status\":410}}]"), 1);
	ck_assert_uint_eq(status_of("/3/device/ab"), 0);
	ck_assert_uint_eq(status_of("/3/device/cd"), 0);
	ck_assert_uint_eq(status_of("/3/device/ab"), 0);
	ck_assert_uint_eq(status_of("/3/device/ab"), 410);
	ck_assert_uint_eq(status_of("/3/device/ab"), 0);
}
END_TEST

START_TEST(times_and_nth_make_a_window)
{
	add("[{\"match\":{\"token\":\"ab\",\"nth\":2,\"times\":2},\"answer\":{\"status\":500}},"
	    "{\"match\":{\"token\":\"cd\",\"times\":1},\"answer\":{\"status\":503}},"
	    "{\"match\":{\"token\":\"ef\"},\"answer\":{\"status\":429}}]");
	ck_assert_uint_eq(status_of("/3/device/ab"), 0);
	ck_assert_uint_eq(status_of("/3/device/ab"), 500);
	ck_assert_uint_eq(status_of("/3/device/ab"), 500);
	ck_assert_uint_eq(status_of("/3/device/ab"), 0);
	ck_assert_uint_eq(status_of("/3/device/cd"), 503);
	ck_assert_uint_eq(status_of("/3/device/cd"), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(status_of("/3/device/ef"), 429);
}
END_TEST

/* Which of the first 12 requests the rule with MATCH answers, as "..x". */
static void check_answered(const char *match, const char *wanted)
{
	char *text = mem_printf("[{\"match\":{%s},\"answer\":{\"status\":410}}]", match);
	char seen[13] = "";

	script_clear(&script);
	ck_assert_msg(add(text) == 1, "%s", reader.complaint);
	for (size_t i = 0; i < 12; i++)
		seen[i] = status_of("/3/device/ab") == 410 ? 'x' : '.';
	ck_assert_str_eq(seen, wanted);
	free(text);
}

START_TEST(every_answers_each_so_manieth_request)
{
	check_answered("\"every\":4", "...x...x...x");
	check_answered("\"every\":4,\"nth\":1", "x...x...x...");
	check_answered("\"every\":4,\"times\":2", "...x...x....");
	check_answered("\"every\":1", "xxxxxxxxxxxx");
}
END_TEST

/* How many of 10,000 requests the rule with MATCH answers. */
static unsigned count_answered(const char *match)
{
	char *text = mem_printf("[{\"match\":{%s},\"answer\":{\"status\":410}}]", match);
	unsigned count = 0;

	script_clear(&script);
	ck_assert_msg(add(text) == 1, "%s", reader.complaint);
	for (size_t i = 0; i < 10000; i++)
		count += status_of("/3/device/ab") == 410;
	free(text);
	return count;
}

START_TEST(a_share_is_answered_by_chance_and_its_seed_repeats_it)
{
	unsigned first = count_answered("\"share\":0.01,\"seed\":7");

	ck_assert_uint_ge(first, 60);
	ck_assert_uint_le(first, 140);
	ck_assert_uint_eq(count_answered("\"share\":0.01,\"seed\":7"), first);
	ck_assert_uint_eq(count_answered("\"share\":1"), 10000);
	ck_assert_uint_eq(count_answered("\"share\":0.5,\"times\":3"), 3);
	ck_assert_uint_ge(count_answered("\"share\":0.5,\"nth\":9001"), 400);
}
END_TEST

START_TEST(a_rule_may_end_with_time)
{
	add("[{\"match\":{\"for_ms\":1000},\"answer\":{\"status\":500}}]");
	ck_assert_uint_eq(status_of("/3/device/ab"), 500);
	now_ms += 999;
	ck_assert_uint_eq(status_of("/3/device/ab"), 500);
	now_ms += 1;
	ck_assert_uint_eq(status_of("/3/device/ab"), 0);
}
END_TEST

START_TEST(a_rule_may_be_for_one_environment_or_one_installation_id)
{
	add("[{\"match\":{\"environment\":\"sandbox\"},\"answer\":{\"status\":500}},"
	    "{\"match\":{\"token\":\"f2\"},\"answer\":{\"status\":503}}]");
	ck_assert_uint_eq(status_of("/3/device/ab"), 0);
	ck_assert_uint_eq(
	        status_with("/v1/projects/p/messages:send", "{\"message\":{\"fid\":\"f2\"}}"), 503);
	environment = ENVIRONMENT_SANDBOX;
	ck_assert_uint_eq(status_of("/3/device/ab"), 500);
}
END_TEST

START_TEST(rules_of_one_token_count_each_for_itself)
{
	add("[{\"match\":{\"token\":\"ab\",\"nth\":1},\"answer\":{\"status\":500}},"
	    "{\"match\":{\"token\":\"ab\",\"nth\":2},\"answer\":{\"status\":503}}]");
	ck_assert_uint_eq(status_of("/3/device/ab"), 500);
	ck_assert_uint_eq(status_of("/3/device/ab"), 503);
	ck_assert_uint_eq(status_of("/3/device/ab"), 0);
}
END_TEST

START_TEST(provider_and_path_narrow_a_rule)
{
	add("[{\"match\":{\"provider\":\"oauth\"},\"answer\":{\"status\":500}},"
	    "{\"match\":{\"path\":\"/v1/projects/p/*\"},\"answer\":{\"status\":501}},"
	    "{\"match\":{\"path\":\"/3/device/ab\"},\"answer\":{\"status\":502}},"
	    "{\"match\":{\"token\":\"f1\",\"provider\":\"fcm\"},\"answer\":{\"status\":503}}]");
	ck_assert_uint_eq(status_of("/token"), 500);
	ck_assert_uint_eq(status_of("/3/device/ab"), 502);
	ck_assert_uint_eq(status_of("/3/device/abab"), 0);
	ck_assert_uint_eq(status_of("/3/device/f1"), 0);
	ck_assert_uint_eq(status_of("/v1/projects/q/messages:send"), 503);
	ck_assert_uint_eq(status_of("/v1/projects/p/messages:send"), 503);
}
END_TEST

START_TEST(the_latest_rules_win_then_those_with_a_token_then_the_first)
{
	add("[{\"answer\":{\"status\":500}},{\"answer\":{\"status\":501}}]");
	ck_assert_uint_eq(status_of("/3/device/ab"), 500);
	add("[{\"answer\":{\"status\":502}},"
	    "{\"match\":{\"token\":\"ab\"},\"answer\":{\"status\":503}}]");
	ck_assert_uint_eq(status_of("/3/device/ab"), 503);
	ck_assert_uint_eq(status_of("/3/device/cd"), 502);
	add("[{\"match\":{\"times\":1},\"answer\":{\"status\":504}}]");
	ck_assert_uint_eq(status_of("/3/device/ab"), 504);
	ck_assert_uint_eq(status_of("/3/device/ab"), 503);
	script_clear(&script);
	ck_assert_uint_eq(status_of("/3/device/ab"), 0);
}
END_TEST

/* What the only rule, with this ANSWER, wants done. */
static const struct scripted *answer_of(const char *answer)
{
	char *text = mem_printf("[{\"answer\":%s}]", answer);
	struct request request = { .path = "/" };

	script_clear(&script);
	ck_assert_msg(add(text) == 1, "%s", reader.complaint);
	free(text);
	return script_match(&script, &request, now_ms);
}

START_TEST(an_answer_has_all_that_was_written)
{
	const struct scripted *answer = answer_of(
	        "{\"status\":410,\"reason\":\"Unregistered\",\"timestamp\":5,\"delay_ms\":20,"
	        "\"headers\":{\"retry-after\":\"7\"},\"body\":{\"a\":1}}");

	ck_assert_uint_eq(answer->status, 410);
	ck_assert_str_eq(answer->reason, "Unregistered");
	ck_assert_int_eq(answer->timestamp_ms, 5);
	ck_assert_uint_eq(answer->delay_ms, 20);
	ck_assert_str_eq(headers_find(&answer->headers, "retry-after"), "7");
	ck_assert_int_eq(json_integer_value(json_object_get(answer->body, "a")), 1);
	ck_assert_int_eq(answer->fault, FAULT_NONE);
	answer = answer_of("{}");
	ck_assert_uint_eq(answer->status, 0);
	ck_assert_ptr_null(answer->reason);
	ck_assert_int_eq(answer->timestamp_ms, -1);
}
END_TEST

START_TEST(each_fault_is_known)
{
	const struct scripted *answer;

	answer = answer_of(
	        "{\"goaway\":{\"last\":7,\"debug\":\"bye\",\"code\":\"INTERNAL_ERROR\"}}");
	ck_assert_int_eq(answer->fault, FAULT_GOAWAY);
	ck_assert_int_eq(answer->goaway_last, 7);
	ck_assert_uint_eq(answer->error_code, 2);
	ck_assert_str_eq(json_string_value(answer->debug), "bye");
	answer = answer_of("{\"goaway\":{}}");
	ck_assert_int_eq(answer->goaway_last, ANSWER_LAST_BEFORE);
	ck_assert_uint_eq(answer->error_code, 0);
	answer = answer_of("{\"rst\":\"REFUSED_STREAM\"}");
	ck_assert_int_eq(answer->fault, FAULT_RST);
	ck_assert_uint_eq(answer->error_code, 7);
	ck_assert_int_eq(answer_of("{\"close\":true}")->fault, FAULT_CLOSE);
	ck_assert_int_eq(answer_of("{\"silent\":true}")->fault, FAULT_SILENT);
	ck_assert_int_eq(answer_of("{\"close\":false}")->fault, FAULT_NONE);
}
END_TEST

START_TEST(one_mistake_leaves_the_script_as_it_was_and_is_named)
{
	static const char *const wrong[][2] = {
		{ "{}", "rules" },
		{ "[1]", "rules[0]" },
		{ "[{\"answer\":{}},{}]", "rules[1].answer" },
		{ "[{\"answer\":{},\"x\":1}]", "'x'" },
		{ "[{\"match\":{\"tokens\":\"a\"},\"answer\":{}}]", "rules[0].match" },
		{ "[{\"match\":{\"provider\":\"wns\"},\"answer\":{}}]", "rules[0].match.provider" },
		{ "[{\"match\":{\"nth\":0},\"answer\":{}}]", "rules[0].match.nth" },
		{ "[{\"match\":{\"every\":0},\"answer\":{}}]", "rules[0].match.every" },
		{ "[{\"match\":{\"share\":0},\"answer\":{}}]", "rules[0].match.share" },
		{ "[{\"match\":{\"share\":1.1},\"answer\":{}}]", "rules[0].match.share" },
		{ "[{\"match\":{\"share\":\"1\"},\"answer\":{}}]", "rules[0].match.share" },
		{ "[{\"match\":{\"seed\":-1},\"answer\":{}}]", "rules[0].match.seed" },
		{ "[{\"match\":{\"for_ms\":0},\"answer\":{}}]", "rules[0].match.for_ms" },
		{ "[{\"answer\":{\"expires_in\":0}}]", "rules[0].answer.expires_in" },
		{ "[{\"answer\":{\"status\":99}}]", "rules[0].answer.status" },
		{ "[{\"answer\":{\"status\":101}}]", "rules[0].answer.status" },
		{ "[{\"answer\":{\"reason\":\"a\\\"b\"}}]", "rules[0].answer.reason" },
		{ "[{\"answer\":{\"delay_ms\":-1}}]", "rules[0].answer.delay_ms" },
		{ "[{\"answer\":{\"rst\":\"OOPS\"}}]", "rules[0].answer.rst" },
		{ "[{\"answer\":{\"goaway\":{\"last\":-1}}}]", "rules[0].answer.goaway.last" },
		{ "[{\"answer\":{\"headers\":[]}}]", "rules[0].answer.headers" },
		{ "[{\"answer\":{\"headers\":{\"A\":\"b\"}}}]", "rules[0].answer.headers" },
		{ "[{\"answer\":{\"headers\":{\":status\":\"1\"}}}]", "rules[0].answer.headers" },
		{ "[{\"answer\":{\"headers\":{\"a\":\"b\\r\\nc\"}}}]", "rules[0].answer.headers" },
		{ "[{\"answer\":{\"headers\":{\"a\":1}}}]", "rules[0].answer.headers" },
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		ck_assert_uint_eq(add(wrong[i][0]), 0);
		ck_assert_msg(strstr(reader.complaint, wrong[i][1]) != NULL, "%s: %s", wrong[i][0],
		              reader.complaint);
		ck_assert_uint_eq(script.count, 0);
		ck_assert_uint_eq(status_of("/3/device/ab"), 0);
	}
}
END_TEST

START_TEST(more_headers_than_an_answer_can_carry_are_refused)
{
	struct buf text = { 0 };
	char *rules;

	buf_text(&text, "[{\"answer\":{\"headers\":{\"x\":\"\"");
	for (int i = 0; i < 32; i++)
		buf_printf(&text, ",\"x-%d\":\"\"", i);
	buf_text(&text, "}}}]");
	rules = buf_take(&text);
	ck_assert_uint_eq(add(rules), 0);
	ck_assert_ptr_nonnull(strstr(reader.complaint, "headers"));
	free(rules);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_empty_script_answers_nothing,
		a_rule_answers_the_nth_request_of_its_token_and_no_other,
		times_and_nth_make_a_window,
		every_answers_each_so_manieth_request,
		a_share_is_answered_by_chance_and_its_seed_repeats_it,
		a_rule_may_end_with_time,
		a_rule_may_be_for_one_environment_or_one_installation_id,
		rules_of_one_token_count_each_for_itself,
		provider_and_path_narrow_a_rule,
		the_latest_rules_win_then_those_with_a_token_then_the_first,
		an_answer_has_all_that_was_written,
		each_fault_is_known,
		one_mistake_leaves_the_script_as_it_was_and_is_named,
		more_headers_than_an_answer_can_carry_are_refused,
	};

	return unit_run("fake-script", tests, ARRAY_LEN(tests), NULL, teardown);
}
