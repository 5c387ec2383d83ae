#include "tests/fakes/answer.c"
#include "tests/fakes/apns.c"
#include "tests/fakes/client.c"
#include "tests/fakes/environments.c"
#include "tests/fakes/headers.c"
#include "tests/fakes/jwt.c"
#include "tests/fakes/provider_token.c"
#include "tests/fakes/request.c"

#include "tests/unit/fake.h"
#include "tests/unit/unit.h"

#define DEVICE "/3/device/00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"
#define UUID "123e4567-e89b-12d3-a456-4266554400a0"
#define ALERT "{\"aps\":{\"alert\":\"x\"}}"
#define SILENT "{\"aps\":{\"content-available\":1}}"

static const char *const topics[] = { "org.example.chat", "org.example.other", NULL };
static EVP_PKEY *key;
static struct apns apns;
static struct apns_binding binding;
static char chat[] = "org.example.chat", none[] = "";
static struct client client;
static enum environment environment;
static struct environments environments;

/* A push and its documented answer; what a case doesn't name is that of a good alert. */
struct push {
	const char *reason; /* NULL: 200 */
	const char *method, *path, *body;
	const char *type, *topic, *priority;
	const char *name, *value; /* one more header */
};

static void setup(void)
{
	apns = (struct apns){
		.tokens = { .key = key, .key_id = "KEY", .team_id = "TEAM" },
		.topics = topics,
		.environments = &environments,
	};
	client = (struct client){ 0 };
	environment = ENVIRONMENT_PRODUCTION;
}

static void teardown(void)
{
	apns_binding_release(&binding);
	environments_clear(&environments);
	apns_release(&apns);
}

/* "bearer …" with these claims; the caller frees it. */
static char *authorize(const char *key_id, const char *team_id, int64_t issued_s)
{
	char *header = mem_printf("{\"alg\":\"ES256\",\"kid\":\"%s\"}", key_id);
	char *claims = mem_printf("{\"iss\":\"%s\",\"iat\":%lld}", team_id, (long long)issued_s);
	char *token = fake_jwt(key, header, claims);
	char *text = mem_printf("bearer %s", token);

	free(header);
	free(claims);
	free(token);
	return text;
}

static void send_push(const struct push *push, const char *authorization, int64_t now_ms,
                      struct answer *answer)
{
	const char *type = push->type == NULL ? "alert" : push->type;
	struct request request;

	fake_request(&request, push->method == NULL ? "POST" : push->method,
	             push->path == NULL ? DEVICE : push->path,
	             push->body == NULL ? ALERT : push->body);
	fake_header(&request, "authorization", authorization);
	fake_header(&request, "apns-topic",
	            push->topic == NULL      ? "org.example.chat"
	            : push->topic[0] == '\0' ? NULL
	                                     : push->topic);
	fake_header(&request, "apns-push-type", type[0] == '\0' ? NULL : type);
	fake_header(&request, "apns-priority", push->priority);
	if (push->name != NULL)
		fake_header(&request, push->name, push->value);
	request.binding = &binding;
	request.client = &client;
	request.environment = environment;
	request_complete(&request);
	memset(answer, 0, sizeof(*answer));
	apns_answer(&apns, &request, now_ms, answer);
	apns_identify(answer, &request);
	request_release(&request);
}

/* clang-format off */
static const struct push cases[] = {
	{ NULL },
	{ "BadPath", .path = "/" },
	{ "BadPath", .path = "/3/devices/ab" },
	{ "BadPath", .path = "/4/broadcasts/apps/x" },
	{ "MethodNotAllowed", .method = "GET" },
	{ "MissingDeviceToken", .path = "/3/device/" },
	{ "MissingDeviceToken", .path = "/3/device" },
	{ "BadDeviceToken", .path = "/3/device/abc" },
	{ "BadDeviceToken", .path = "/3/device/zz" },
	{ "BadDeviceToken", .path = "/3/device/ab/cd" },
	{ NULL, .path = "/3/device/ABcd" },
	{ "DuplicateHeaders", .name = "apns-topic", .value = "org.example.chat" },
	{ NULL, .name = "apns-id", .value = UUID },
	{ "BadMessageId", .name = "apns-id", .value = "123E4567-e89b-12d3-a456-4266554400a0" },
	{ "BadMessageId", .name = "apns-id", .value = UUID "0" },
	{ "BadMessageId", .name = "apns-id", .value = "123e4567" },
	{ "BadMessageId", .name = "apns-id", .value = "" },
	{ "InvalidPushType", .type = "alarm" },
	{ "MissingTopic", .topic = "" },
	{ "TopicDisallowed", .topic = "org.example.foreign" },
	{ NULL, .topic = "org.example.other" },
	{ "TopicDisallowed", .topic = "org.example.chat.voip" },
	{ NULL, .type = "", .topic = "org.example.chat.voip" },
	{ "TopicDisallowed", .type = "", .topic = "org.example.chat.other" },
	{ NULL, .type = "voip", .topic = "org.example.chat.voip" },
	{ "BadTopic", .type = "voip" },
	{ "BadPriority", .type = "voip", .topic = "org.example.chat.voip", .priority = "5" },
	{ NULL, .priority = "10" },
	{ NULL, .priority = "5" },
	{ NULL, .priority = "1" },
	{ "BadPriority", .priority = "7" },
	{ "BadPriority", .priority = "" },
	{ NULL, .type = "background", .priority = "5", .body = SILENT },
	{ "BadPriority", .type = "background", .priority = "10", .body = SILENT },
	{ "BadPriority", .type = "background", .body = SILENT },
	{ "InvalidPushType", .type = "background", .priority = "5" },
	{ "InvalidPushType", .type = "background", .priority = "5",
	  .body = "{\"aps\":{\"content-available\":1,\"badge\":0}}" },
	{ "InvalidPushType", .type = "alert", .body = SILENT },
	{ NULL, .type = "alert", .body = "{\"aps\":{\"badge\":0}}" },
	{ NULL, .type = "liveactivity", .topic = "org.example.chat.push-type.liveactivity",
	  .body = "{\"aps\":{\"timestamp\":1,\"event\":\"end\",\"content-state\":{}}}" },
	{ "InvalidPushType", .type = "liveactivity",
	  .topic = "org.example.chat.push-type.liveactivity" },
	{ NULL, .name = "apns-expiration", .value = "0" },
	{ NULL, .name = "apns-expiration", .value = "1800003600" },
	{ "BadExpirationDate", .name = "apns-expiration", .value = "1800003600000" },
	{ "BadExpirationDate", .name = "apns-expiration", .value = "-1" },
	{ "BadExpirationDate", .name = "apns-expiration", .value = "" },
	{ "BadCollapseId", .name = "apns-collapse-id", .value = "" },
	{ "PayloadEmpty", .body = "" },
	{ "PayloadEmpty", .body = "{\"aps\"" },
	{ "PayloadEmpty", .body = "[]" },
	{ "PayloadEmpty", .body = "{\"aps\":1}" },
	{ "InvalidPushType", .body = "{}" },
};
/* clang-format on */

static void check_case(const struct push *push, const char *authorization)
{
	const char *wanted = push->reason == NULL ? "" : push->reason;
	unsigned status = push->reason == NULL ? 200 : status_of(push->reason);
	char *body = mem_printf(push->reason == NULL ? "" : "{\"reason\":\"%s\"}", wanted);
	struct answer answer;

	send_push(push, authorization, FAKE_NOW_MS, &answer);
	ck_assert_msg(strcmp(answer.reason, wanted) == 0, "\"%s\", not \"%s\": %s %s %s",
	              answer.reason, wanted, push->path, push->type, push->body);
	ck_assert_uint_eq(answer.status, status);
	fake_body_is(&answer, body);
	free(body);
	answer_release(&answer);
}

START_TEST(each_fault_has_its_documented_reason_and_status)
{
	char *authorization = authorize("KEY", "TEAM", FAKE_NOW_S);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_case(&cases[i], authorization);
	free(authorization);
}
END_TEST

/* A certificate stands for the provider token and for the topic. */
START_TEST(a_certificate_is_enough_and_says_the_topic)
{
	static const struct push certified[] = {
		{ NULL },
		{ NULL, .topic = "" },
		{ NULL, .type = "voip", .topic = "org.example.chat.voip" },
		{ "BadTopic", .type = "voip", .topic = "" },
		{ "TopicDisallowed", .topic = "org.example.other" },
		{ "InvalidProviderToken", .name = "authorization", .value = "bearer x" },
	};

	client = (struct client){ .present = true, .trusted = true, .topic = chat };
	for (size_t i = 0; i < ARRAY_LEN(certified); i++)
		check_case(&certified[i], NULL);
	client.topic = none;
	check_case(&(struct push){ "MissingTopic", .topic = "" }, NULL);
}
END_TEST

START_TEST(a_certificate_for_calls_is_for_nothing_else)
{
	static char calls[] = "org.example.chat.voip";
	static const struct push certified[] = {
		{ NULL, .type = "voip", .topic = calls },
		{ "TopicDisallowed" },
		{ "TopicDisallowed", .type = "voip", .topic = "org.example.other.voip" },
	};

	client = (struct client){ .present = true, .trusted = true, .topic = calls };
	for (size_t i = 0; i < ARRAY_LEN(certified); i++)
		check_case(&certified[i], NULL);
}
END_TEST

START_TEST(a_certificate_is_for_the_environments_that_it_names)
{
	const struct push good = { NULL }, other = { "BadCertificateEnvironment" };

	client = (struct client){ .present = true, .trusted = true, .topic = chat };
	environment = ENVIRONMENT_SANDBOX;
	check_case(&good, NULL);
	client.marked[ENVIRONMENT_PRODUCTION] = true;
	check_case(&other, NULL);
	client.marked[ENVIRONMENT_SANDBOX] = true;
	check_case(&good, NULL);
	client.trusted = false;
	check_case(&(struct push){ "BadCertificate" }, NULL);
}
END_TEST

START_TEST(a_token_is_bad_in_the_environment_that_it_is_not_of)
{
	char *authorization = authorize("KEY", "TEAM", FAKE_NOW_S);
	const struct push here = { NULL, .path = "/3/device/ab" };
	const struct push away = { "BadDeviceToken", .path = "/3/device/cd" };
	const struct push anywhere = { NULL, .path = "/3/device/ef" };

	environments_put(&environments, "ab", ENVIRONMENT_SANDBOX);
	environments_put(&environments, "ab", ENVIRONMENT_PRODUCTION);
	environments_put(&environments, "cd", ENVIRONMENT_SANDBOX);
	check_case(&here, authorization);
	check_case(&away, authorization);
	check_case(&anywhere, authorization);
	environments_clear(&environments);
	check_case(&(struct push){ NULL, .path = "/3/device/cd" }, authorization);
	free(authorization);
}
END_TEST

START_TEST(a_payload_is_as_long_as_its_push_type_allows_and_no_longer)
{
	char *authorization = authorize("KEY", "TEAM", FAKE_NOW_S);
	static char body[VOIP_PAYLOAD_MAX + 2];
	struct push push = { .body = body };
	size_t len[] = { PAYLOAD_MAX, PAYLOAD_MAX + 1, VOIP_PAYLOAD_MAX, VOIP_PAYLOAD_MAX + 1 };

	for (size_t i = 0; i < ARRAY_LEN(len); i++) {
		snprintf(body, sizeof(body), "{\"aps\":{\"alert\":\"\"},\"x\":\"%0*d\"}",
		         (int)len[i] - 27, 0);
		ck_assert_uint_eq(strlen(body), len[i]);
		push.type = i < 2 ? "alert" : "voip";
		push.topic = i < 2 ? NULL : "org.example.chat.voip";
		push.reason = i % 2 == 0 ? NULL : "PayloadTooLarge";
		check_case(&push, authorization);
	}
	free(authorization);
}
END_TEST

START_TEST(a_collapse_id_has_at_most_64_bytes)
{
	char *authorization = authorize("KEY", "TEAM", FAKE_NOW_S);
	char id[66];
	struct push push = { .name = "apns-collapse-id", .value = id };

	memset(id, 'x', sizeof(id));
	id[64] = '\0';
	check_case(&push, authorization);
	id[64] = 'x';
	id[65] = '\0';
	push.reason = "BadCollapseId";
	check_case(&push, authorization);
	free(authorization);
}
END_TEST

START_TEST(the_id_of_a_request_comes_back_and_one_is_made_where_there_is_none)
{
	char *authorization = authorize("KEY", "TEAM", FAKE_NOW_S);
	struct push push = { .name = "apns-id", .value = UUID };
	struct answer answer;

	send_push(&push, authorization, FAKE_NOW_MS, &answer);
	ck_assert_str_eq(answer.id, UUID);
	push.value = "not an id";
	send_push(&push, authorization, FAKE_NOW_MS, &answer);
	ck_assert_uint_eq(strlen(answer.id), 36);
	answer_release(&answer);
	push.name = NULL;
	send_push(&push, authorization, FAKE_NOW_MS, &answer);
	ck_assert_uint_eq(strlen(answer.id), 36);
	push = (struct push){ .name = "apns-id", .value = answer.id };
	check_case(&push, authorization);
	free(authorization);
}
END_TEST

/* Clears the binding first, as on a new connection. */
static void check_token(const char *reason, const char *key_id, const char *team_id,
                        int64_t issued_s)
{
	char *authorization = authorize(key_id, team_id, issued_s);
	struct push push = { .reason = reason };

	apns_binding_release(&binding);
	check_case(&push, authorization);
	free(authorization);
}

START_TEST(a_provider_token_must_be_of_the_key_and_team_and_younger_than_an_hour)
{
	check_token(NULL, "KEY", "TEAM", FAKE_NOW_S - LIFE_S);
	check_token("ExpiredProviderToken", "KEY", "TEAM", FAKE_NOW_S - LIFE_S - 1);
	check_token(NULL, "KEY", "TEAM", FAKE_NOW_S + SKEW_S);
	check_token("InvalidProviderToken", "KEY", "TEAM", FAKE_NOW_S + SKEW_S + 1);
	check_token("InvalidProviderToken", "KEX", "TEAM", FAKE_NOW_S);
	check_token("InvalidProviderToken", "KEY", "TEAN", FAKE_NOW_S);
	check_case(&(struct push){ "MissingProviderToken" }, NULL);
	check_case(&(struct push){ "InvalidProviderToken" }, "bearer x");
	check_case(&(struct push){ "InvalidProviderToken" }, "basic x");
}
END_TEST

START_TEST(a_token_that_a_connection_already_uses_expires_too)
{
	char *authorization = authorize("KEY", "TEAM", FAKE_NOW_S);
	struct answer answer;

	check_case(&(struct push){ NULL }, authorization);
	send_push(&(struct push){ NULL }, authorization, FAKE_NOW_MS + (LIFE_S + 1) * 1000,
	          &answer);
	ck_assert_str_eq(answer.reason, "ExpiredProviderToken");
	answer_release(&answer);
	free(authorization);
}
END_TEST

START_TEST(a_connection_may_change_its_token_every_20_minutes)
{
	char *first = authorize("KEY", "TEAM", FAKE_NOW_S - UPDATE_S);
	char *early = authorize("KEY", "TEAM", FAKE_NOW_S - 1);
	char *later = authorize("KEY", "TEAM", FAKE_NOW_S);

	check_case(&(struct push){ NULL }, first);
	check_case(&(struct push){ "TooManyProviderTokenUpdates" }, early);
	check_case(&(struct push){ NULL }, first);
	check_case(&(struct push){ NULL }, later);
	check_case(&(struct push){ "TooManyProviderTokenUpdates" }, early);
	free(first);
	free(early);
	free(later);
}
END_TEST

START_TEST(more_tokens_than_the_cache_holds_are_still_told_apart)
{
	for (int i = 0; i < CACHE_MAX + 10; i++)
		check_token(i % 2 == 0 ? NULL : "InvalidProviderToken", i % 2 == 0 ? "KEY" : "KEX",
		            "TEAM", FAKE_NOW_S - i);
	ck_assert_uint_le(apns.tokens.verified.count, CACHE_MAX);
}
END_TEST

START_TEST(without_a_list_any_topic_is_served)
{
	char *authorization = authorize("KEY", "TEAM", FAKE_NOW_S);

	apns.topics = NULL;
	check_case(&(struct push){ .topic = "com.example.any" }, authorization);
	free(authorization);
}
END_TEST

START_TEST(a_scripted_error_needs_only_its_status_or_its_reason)
{
	struct answer answer = { 0 };

	apns_refuse(&answer, 410, NULL, 1234);
	ck_assert_str_eq(answer.reason, "Unregistered");
	fake_body_is(&answer, "{\"reason\":\"Unregistered\",\"timestamp\":1234}");
	answer_release(&answer);
	apns_refuse(&answer, 0, "TooManyRequests", 1234);
	ck_assert_uint_eq(answer.status, 429);
	answer_release(&answer);
	apns_refuse(&answer, 500, "BadDeviceToken", 0);
	ck_assert_uint_eq(answer.status, 500);
	ck_assert_str_eq(answer.reason, "BadDeviceToken");
	answer_release(&answer);
	apns_refuse(&answer, 200, NULL, 0);
	ck_assert_uint_eq(buf_len(&answer.body), 0);
	answer_release(&answer);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		each_fault_has_its_documented_reason_and_status,
		a_payload_is_as_long_as_its_push_type_allows_and_no_longer,
		a_collapse_id_has_at_most_64_bytes,
		a_certificate_is_enough_and_says_the_topic,
		a_certificate_for_calls_is_for_nothing_else,
		a_certificate_is_for_the_environments_that_it_names,
		a_token_is_bad_in_the_environment_that_it_is_not_of,
		the_id_of_a_request_comes_back_and_one_is_made_where_there_is_none,
		a_provider_token_must_be_of_the_key_and_team_and_younger_than_an_hour,
		a_token_that_a_connection_already_uses_expires_too,
		a_connection_may_change_its_token_every_20_minutes,
		more_tokens_than_the_cache_holds_are_still_told_apart,
		without_a_list_any_topic_is_served,
		a_scripted_error_needs_only_its_status_or_its_reason,
	};
	int result;

	key = EVP_EC_gen("P-256");
	result = unit_run("fake-apns", tests, ARRAY_LEN(tests), setup, teardown);
	EVP_PKEY_free(key);
	return result;
}
