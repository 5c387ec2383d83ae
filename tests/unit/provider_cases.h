/* Requests and verdicts of a push provider, checked against cases in tests/data. */
#ifndef OG_TESTS_UNIT_PROVIDER_CASES_H
#define OG_TESTS_UNIT_PROVIDER_CASES_H

#include "pushd/provider/provider.h"
#include "tests/unit/cases.h"

static const struct provider_kind *kind; /* the one that is tested */

/* The keys of that kind, as EXPECTED wants them. */
static const void *keys_for(const json_t *expected);

static inline size_t place(const char *const *names, const char *name)
{
	size_t i = 0;

	while (names[i] != NULL && strcmp(names[i], name) != 0)
		i++;
	ck_assert_msg(names[i] != NULL, "%s is none of them", name);
	return i;
}

static inline void check_request(const char *name, const json_t *expected,
                                 const struct provider_request *request)
{
	static const char *const cuts[] = { "nothing", "text", "all", NULL };
	json_t *body = json_loadb(request->body, request->body_len, 0, NULL);
	const json_t *headers = json_object_get(expected, "headers"), *header;
	size_t i;

	ck_assert_msg(body != NULL, "%s: the body is no JSON", name);
	ck_assert_msg(json_equal(body, json_object_get(expected, "body")), "%s: got %.*s", name,
	              (int)request->body_len, request->body);
	ck_assert_msg(strcmp(request->url, case_text(expected, "url")) == 0, "%s: got %s", name,
	              request->url);
	json_array_foreach (headers, i, header) {
		ck_assert_msg(request->headers[i] != NULL, "%s: header %zu is missing", name, i);
		ck_assert_str_eq(request->headers[i], json_string_value(header));
	}
	ck_assert_ptr_null(request->headers[i]);
	ck_assert_uint_eq(request->cut, place(cuts, case_text(expected, "cut")));
	json_decref(body);
}

static inline enum provider_cut least_cut(const json_t *expected)
{
	const char *least = case_text(expected, "least");

	if (least == NULL)
		return CUT_NOTHING;
	return strcmp(least, "all") == 0 ? CUT_ALL : CUT_TEXT;
}

static inline enum conf_content content_of(const json_t *expected)
{
	static const char *const contents[] = { "dialect", "full", "sender", "none", NULL };
	const char *content = case_text(expected, "content");

	return content != NULL ? place(contents, content) : CONF_CONTENT_FULL;
}

/* One case: item, priority, what comes of them; a url of null when nothing fits. */
static inline void check_build(const char *name, const json_t *expected)
{
	static const char *const priorities[] = { "voip", "high", "low", NULL };
	struct json_reader reader;
	struct json_object item = json_object_top(&reader, json_object_get(expected, "item"));
	struct notification notification;
	struct arena arena = { 0 };
	struct provider_settings settings = {
		.endpoint = "https://apns.example",
		.own = keys_for(expected),
		.expiry_s = case_number(expected, "expiry_s", 2419),
	};
	struct provider_message message = {
		.settings = &settings,
		.notification = &notification,
		.priority = place(priorities, case_text(expected, "priority")),
		.account = json_is_null(json_object_get(expected, "account")) ? NULL
		                                                              : "romeo@example.org",
		.node = "0123456789abcdef0123456789abcdef",
		.channel = case_text(expected, "channel"),
		.content = content_of(expected),
		.token = "abababababababababababababababababababababababababababababababab",
		.bearer = json_is_true(json_object_get(expected, "certificate")) ? NULL : "JWT",
		.id = "11111111-2222-4333-8444-555555555555",
		.now_s = 1800000000,
		.expires_s = case_number(expected, "expires_s", 0),
		.cut = least_cut(expected),
		.arena = &arena,
	};
	struct provider_request request;
	int result;

	notification_read(&notification, &item);
	ck_assert_msg(json_reader_ok(&reader), "%s: %s", name, reader.complaint);
	result = kind->build(&message, &request);
	ck_assert_msg((result == 0) == (case_text(expected, "url") != NULL), "%s", name);
	if (result == 0)
		check_request(name, expected, &request);
	arena_release(&arena);
}

static inline void check_flag(const char *name, const json_t *expected, const char *flag, bool got)
{
	ck_assert_msg(got == json_is_true(json_object_get(expected, flag)), "%s: %s", name, flag);
}

/* One case: status, body and headers of an answer, and what they mean. */
static inline void check_judge(const char *name, const json_t *expected)
{
	const json_t *body = json_object_get(expected, "body");
	char *text = json_is_string(body) ? mem_dup(json_string_value(body))
	                                  : json_dumps(body, JSON_ENCODE_ANY);
	const char *named = case_text(expected, "named");
	struct provider_answer answer = {
		.status = (unsigned)case_number(expected, "status", 0),
		.body = text,
		.body_len = strlen(text),
		.wanted = { case_text(expected, "id") },
		.retry_after = case_text(expected, "retry_after"),
	};
	struct judgement judgement;

	kind->judge(&answer, &judgement);
	ck_assert_msg(judgement.verdict == place(verdict_names, case_text(expected, "verdict")),
	              "%s: got %s", name, verdict_names[judgement.verdict]);
	ck_assert_str_eq(judgement.reason, case_text(expected, "reason"));
	ck_assert_str_eq(judgement.id, named != NULL ? named : "");
	ck_assert_int_eq(judgement.timestamp_ms, case_number(expected, "timestamp_ms", 0));
	ck_assert_int_eq(judgement.retry_after_ms, case_number(expected, "retry_after_ms", 0));
	ck_assert_uint_eq(judgement.status, answer.status);
	check_flag(name, expected, "reset_window", judgement.reset_window);
	check_flag(name, expected, "reconnect", judgement.reconnect);
	check_flag(name, expected, "token_fault", judgement.token_fault);
	check_flag(name, expected, "pause_provider", judgement.pause_provider);
	check_flag(name, expected, "speechless", judgement.speechless);
	check_flag(name, expected, "other_environment", judgement.other_environment);
	free(text);
}

/* What accept_token() makes of TOKEN, heap; NULL when it is refused. */
static inline char *accepted(const char *token)
{
	char *copy = mem_dup(token);

	if (kind->accept_token(copy))
		return copy;
	free(copy);
	return NULL;
}

#endif
