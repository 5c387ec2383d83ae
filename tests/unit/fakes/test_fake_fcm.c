#include "tests/fakes/access.c"
#include "tests/fakes/answer.c"
#include "tests/fakes/fcm.c"
#include "tests/fakes/fcm_error.c"
#include "tests/fakes/headers.c"
#include "tests/fakes/request.c"

#include "tests/unit/fake.h"
#include "tests/unit/unit.h"

#define SEND "/v1/projects/p1/messages:send"
#define TYPE_FCM "type.googleapis.com/google.firebase.fcm.v1.FcmError"

static struct access access_list;
static struct fcm fcm = { .project = "p1", .access = &access_list };
static char authorization[100];

static void setup(void)
{
	snprintf(authorization, sizeof(authorization), "Bearer %s",
	         access_issue(&access_list, FAKE_NOW_MS + 1));
}

static void ask(const char *method, const char *path, const char *body, struct answer *answer)
{
	struct request request;

	fake_request(&request, method, path, body);
	fake_header(&request, "authorization", authorization[0] == '\0' ? NULL : authorization);
	request_complete(&request);
	memset(answer, 0, sizeof(*answer));
	fcm_answer(&fcm, &request, FAKE_NOW_MS, answer);
	request_release(&request);
}

/* What a body gets: 200, or 400 with or without FcmError, and a text that the answer contains. */
struct message {
	enum { SENT, REFUSED, MALFORMED } outcome;
	const char *says;
	const char *body;
};

/* clang-format off */
#define TO(rest) "{\"message\":{\"token\":\"t\"" rest "}}"
static const struct message messages[] = {
	{ SENT, "projects/p1/messages/0:", TO("") },
	{ SENT, "messages/fake_message_id", "{\"validate_only\":true,\"message\":{\"token\":\"t\"}}" },
	{ SENT, "messages/fake_message_id", "{\"validateOnly\":true,\"message\":{\"token\":\"t\"}}" },
	{ SENT, "0:", TO(",\"data\":{\"account\":\"a@b\",\"unread-messages\":\"3\"}") },
	{ SENT, "0:", TO(",\"android\":{\"priority\":\"HIGH\",\"ttl\":\"0s\",\"collapse_key\":\"k\"}") },
	{ SENT, "0:", TO(",\"android\":{\"priority\":\"normal\",\"ttl\":\"2419200s\",\"directBootOk\":true}") },
	{ SENT, "0:", TO(",\"android\":{\"ttl\":\"3.000000001s\"}") },
	{ SENT, "0:", TO(",\"notification\":{\"title\":\"x\"}") },
	{ SENT, "0:", "{\"message\":{\"fid\":\"abc\"}}" },
	{ SENT, "0:", "{\"message\":{\"topic\":\"abc\"}}" },
	{ MALFORMED, "Invalid JSON", "" },
	{ MALFORMED, "Invalid JSON", "{" },
	{ MALFORMED, "Invalid JSON", "[]" },
	{ MALFORMED, "message", "{}" },
	{ MALFORMED, "message", "{\"message\":1}" },
	{ MALFORMED, "Unknown name \\\"messages\\\"", "{\"message\":{\"token\":\"t\"},\"messages\":1}" },
	{ MALFORMED, "Unknown name \\\"to\\\": Cannot", "{\"message\":{\"to\":\"t\"}}" },
	{ MALFORMED, "\"field\":\"message.android\"", TO(",\"android\":{\"color\":\"red\"}") },
	{ MALFORMED, "message.android", TO(",\"android\":1") },
	{ REFUSED, "Recipient of the message is not set", "{\"message\":{\"data\":{}}}" },
	{ REFUSED, "Recipient of the message is not set", "{\"message\":{\"token\":\"\"}}" },
	{ MALFORMED, "TYPE_STRING", "{\"message\":{\"token\":7}}" },
	{ MALFORMED, "oneof", TO(",\"topic\":\"x\"") },
	{ REFUSED, "not a valid FCM registration token", "{\"message\":{\"token\":\"a b\"}}" },
	{ MALFORMED, "message.data", TO(",\"data\":{\"n\":3}") },
	{ MALFORMED, "message.data", TO(",\"data\":[]") },
	{ MALFORMED, "message.android.data", TO(",\"android\":{\"data\":{\"n\":null}}") },
	{ REFUSED, "Invalid data payload key: from", TO(",\"data\":{\"from\":\"x\"}") },
	{ REFUSED, "key: message_type", TO(",\"data\":{\"message_type\":\"x\"}") },
	{ REFUSED, "key: google.x", TO(",\"data\":{\"google.x\":\"x\"}") },
	{ REFUSED, "key: google.????\"", TO(",\"data\":{\"google.\xc3\xa9\xc3\xa9\":\"x\"}") },
	{ REFUSED, "key: gcm.x", TO(",\"data\":{\"gcm.x\":\"x\"}") },
	{ SENT, "0:", TO(",\"data\":{\"fromage\":\"x\",\"gcmx\":\"x\"}") },
	{ MALFORMED, "message.android.priority", TO(",\"android\":{\"priority\":\"10\"}") },
	{ MALFORMED, "message.android.priority", TO(",\"android\":{\"priority\":10}") },
	{ MALFORMED, "message.android.ttl", TO(",\"android\":{\"ttl\":\"60\"}") },
	{ MALFORMED, "message.android.ttl", TO(",\"android\":{\"ttl\":60}") },
	{ MALFORMED, "message.android.ttl", TO(",\"android\":{\"ttl\":\"-1s\"}") },
	{ MALFORMED, "message.android.ttl", TO(",\"android\":{\"ttl\":\"1.s\"}") },
	{ MALFORMED, "message.android.ttl", TO(",\"android\":{\"ttl\":\"s\"}") },
	{ MALFORMED, "message.android.ttl", TO(",\"android\":{\"ttl\":\"2419201s\"}") },
	{ MALFORMED, "collapse_key", TO(",\"android\":{\"collapseKey\":1}") },
};
/* clang-format on */

START_TEST(each_message_has_its_documented_answer)
{
	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		const struct message *message = &messages[i];
		struct answer answer;
		bool typed;

		ask("POST", SEND, message->body, &answer);
		ck_assert_msg(answer.status == (message->outcome == SENT ? 200 : 400), "case %zu",
		              i);
		fake_body_has(&answer, message->says);
		buf_append(&answer.body, "", 1);
		typed = strstr(buf_data(&answer.body), TYPE_FCM) != NULL;
		ck_assert_msg(typed == (message->outcome == REFUSED), "case %zu", i);
		answer_release(&answer);
	}
}
END_TEST

/* A message to KIND with a value of LEN bytes under the key "k". */
static unsigned status_with(const char *kind, size_t len)
{
	char *value = mem_alloc(len + 1, 1);
	struct answer answer;
	unsigned status;
	char *body;

	memset(value, 'v', len);
	body = mem_printf("{\"message\":{\"%s\":\"t\",\"data\":{\"k\":\"%s\"}}}", kind, value);
	ask("POST", SEND, body, &answer);
	status = answer.status;
	answer_release(&answer);
	free(body);
	free(value);
	return status;
}

START_TEST(keys_and_values_have_4096_bytes_and_2048_to_a_topic)
{
	ck_assert_uint_eq(status_with("token", 4095), 200);
	ck_assert_uint_eq(status_with("token", 4096), 400);
	ck_assert_uint_eq(status_with("topic", 2047), 200);
	ck_assert_uint_eq(status_with("topic", 2048), 400);
	ck_assert_uint_eq(status_with("token", REQUEST_BODY_MAX), 400);
}
END_TEST

START_TEST(an_access_token_must_be_one_that_was_issued_and_is_not_expired)
{
	struct answer answer;

	authorization[20] ^= 1;
	ask("POST", SEND, TO(""), &answer);
	ck_assert_uint_eq(answer.status, 401);
	fake_body_has(&answer, "\"status\":\"UNAUTHENTICATED\"");
	answer_release(&answer);
	authorization[0] = '\0';
	ask("POST", SEND, TO(""), &answer);
	ck_assert_uint_eq(answer.status, 401);
	fake_body_has(&answer, "CREDENTIALS_MISSING");
	answer_release(&answer);
	snprintf(authorization, sizeof(authorization), "Bearer %s",
	         access_issue(&access_list, FAKE_NOW_MS));
	ask("POST", SEND, TO(""), &answer);
	ck_assert_uint_eq(answer.status, 401);
	fake_body_has(&answer, "ACCESS_TOKEN_EXPIRED");
	answer_release(&answer);
}
END_TEST

static void check_path_answer(const char *method, const char *path, unsigned status,
                              const char *says)
{
	struct answer answer;

	ask(method, path, TO(""), &answer);
	ck_assert_uint_eq(answer.status, status);
	fake_body_has(&answer, says);
	answer_release(&answer);
}

START_TEST(another_project_is_not_found_and_another_path_is_served_by_nobody)
{
	check_path_answer("POST", SEND, 200, "name");
	check_path_answer("POST", "/v1/projects/p2/messages:send", 404,
	                  "{\"error\":{\"code\":404,\"message\":\"Requested entity was not "
	                  "found.\",\"status\":\"NOT_FOUND\"}}");
	check_path_answer("POST", "/v1/projects/p/messages:send", 404, "NOT_FOUND");
	check_path_answer("POST", "/v1/projects/p1/messages:sendall", 404, "<html");
	check_path_answer("POST", "/v1/projects/p1", 404, "<html");
	check_path_answer("GET", SEND, 404, "<html");
}
END_TEST

START_TEST(a_scripted_error_needs_only_its_status_or_its_code)
{
	struct answer answer = { 0 };

	fcm_refuse(&answer, 0, "UNREGISTERED");
	ck_assert_uint_eq(answer.status, 404);
	fake_body_is(&answer,
	             "{\"error\":{\"code\":404,\"message\":\"Requested entity was not found.\","
	             "\"status\":\"NOT_FOUND\",\"details\":[{\"@type\":\"" TYPE_FCM
	             "\",\"errorCode\":\"UNREGISTERED\"}]}}");
	answer_release(&answer);
	fcm_refuse(&answer, 429, NULL);
	ck_assert_str_eq(answer.reason, "QUOTA_EXCEEDED");
	fake_body_has(&answer, "\"status\":\"RESOURCE_EXHAUSTED\"");
	answer_release(&answer);
	fcm_refuse(&answer, 0, "PERMISSION_DENIED");
	ck_assert_uint_eq(answer.status, 403);
	fake_body_has(&answer, "google.rpc.ErrorInfo");
	answer_release(&answer);
	fcm_refuse(&answer, 502, NULL);
	ck_assert_uint_eq(answer.status, 502);
	answer_release(&answer);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		each_message_has_its_documented_answer,
		keys_and_values_have_4096_bytes_and_2048_to_a_topic,
		an_access_token_must_be_one_that_was_issued_and_is_not_expired,
		another_project_is_not_found_and_another_path_is_served_by_nobody,
		a_scripted_error_needs_only_its_status_or_its_code,
	};

	return unit_run("fake-fcm", tests, ARRAY_LEN(tests), setup, NULL);
}
