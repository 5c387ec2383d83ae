#include "tests/fakes/access.c"
#include "tests/fakes/answer.c"
#include "tests/fakes/form.c"
#include "tests/fakes/headers.c"
#include "tests/fakes/jwt.c"
#include "tests/fakes/oauth.c"
#include "tests/fakes/request.c"

#include "tests/unit/fake.h"
#include "tests/unit/unit.h"

#define SCOPE "https://www.googleapis.com/auth/firebase.messaging"
#define EMAIL "me@example.org"
#define GRANT "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="

static EVP_PKEY *key;
static struct access access_list;
static struct oauth oauth;

struct claims {
	const char *error, *says; /* says: part of the description */
	const char *email, *audience, *scope;
	int issued_s, life_s; /* issued: from now; life: 0 means an hour */
};

static void setup(void)
{
	oauth = (struct oauth){ .key = key, .email = EMAIL, .access = &access_list };
}

static void ask(const char *type, const char *body, struct answer *answer)
{
	struct request request;

	fake_request(&request, "POST", "/token", body);
	fake_header(&request, "content-type", type);
	request_complete(&request);
	memset(answer, 0, sizeof(*answer));
	oauth_answer(&oauth, &request, FAKE_NOW_MS, answer);
	request_release(&request);
}

static char *make_grant(const struct claims *claims)
{
	int life_s = claims->life_s == 0 ? 3600 : claims->life_s;
	char *text =
	        mem_printf("{\"iss\":\"%s\",\"aud\":\"%s\",\"scope\":\"%s\",\"iat\":%d,\"exp\":%d}",
	                   claims->email == NULL ? EMAIL : claims->email,
	                   claims->audience == NULL ? GOOGLE_URI : claims->audience,
	                   claims->scope == NULL ? SCOPE : claims->scope,
	                   FAKE_NOW_S + claims->issued_s, FAKE_NOW_S + claims->issued_s + life_s);
	char *token = fake_jwt(key, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", text);
	char *body = mem_printf("%s%s", GRANT, token);

	free(text);
	free(token);
	return body;
}

/* clang-format off */
static const struct claims cases[] = {
	{ NULL },
	{ NULL, .audience = "https://127.0.0.1:2197/token" },
	{ NULL, .audience = "https://push.example.org/token" },
	{ "invalid_grant", "audience", .audience = "https://127.0.0.1:2198/token" },
	{ "invalid_grant", "account not found", .email = "you@example.org" },
	{ NULL, .scope = "openid " SCOPE },
	{ NULL, .scope = "https://www.googleapis.com/auth/cloud-platform email" },
	{ "invalid_scope", "scope", .scope = SCOPE "x" },
	{ "invalid_scope", "scope", .scope = "" },
	{ NULL, .issued_s = SKEW_S },
	{ "invalid_grant", "reasonable timeframe", .issued_s = SKEW_S + 1 },
	{ NULL, .issued_s = -3600 },
	{ "invalid_grant", "reasonable timeframe", .issued_s = -3601 },
	{ "invalid_grant", "short-lived", .life_s = 3601 },
	{ "invalid_grant", "reasonable timeframe", .life_s = -1 },
};
/* clang-format on */

START_TEST(each_claim_is_checked_and_refused_in_googles_words)
{
	struct answer answer;

	oauth.token_uri = "https://push.example.org/token";
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *body = make_grant(&cases[i]);

		ask("application/x-www-form-urlencoded", body, &answer);
		ck_assert_msg(answer.status == (cases[i].error == NULL ? 200 : 400), "case %zu", i);
		ck_assert_str_eq(answer.reason, cases[i].error == NULL ? "" : cases[i].error);
		if (cases[i].says != NULL)
			fake_body_has(&answer, cases[i].says);
		answer_release(&answer);
		free(body);
	}
}
END_TEST

START_TEST(a_good_grant_gives_an_access_token_for_an_hour)
{
	char *body = make_grant(&(struct claims){ NULL });
	struct answer answer;
	json_t *json;
	const char *token;

	ask("application/x-www-form-urlencoded", body, &answer);
	json = json_loadb(buf_data(&answer.body), buf_len(&answer.body), 0, NULL);
	token = jwt_text(json, "access_token");
	ck_assert_str_eq(jwt_text(json, "token_type"), "Bearer");
	ck_assert_int_eq(jwt_number(json, "expires_in"), 3599);
	ck_assert_int_eq(access_check(&access_list, token, FAKE_NOW_MS), ACCESS_GOOD);
	ck_assert_int_eq(access_check(&access_list, token, FAKE_NOW_MS + 3598999), ACCESS_GOOD);
	ck_assert_int_eq(access_check(&access_list, token, FAKE_NOW_MS + 3599000), ACCESS_EXPIRED);
	ck_assert_int_eq(access_check(&access_list, "ya29.other", FAKE_NOW_MS), ACCESS_UNKNOWN);
	json_decref(json);
	answer_release(&answer);
	free(body);
}
END_TEST

START_TEST(the_oldest_access_token_is_forgotten_when_there_are_too_many)
{
	char first[ACCESS_TEXT];

	snprintf(first, sizeof(first), "%s", access_issue(&access_list, 1));
	for (int i = 1; i < ACCESS_MAX; i++)
		access_issue(&access_list, 1);
	ck_assert_int_eq(access_check(&access_list, first, 0), ACCESS_GOOD);
	access_issue(&access_list, 1);
	ck_assert_int_eq(access_check(&access_list, first, 0), ACCESS_UNKNOWN);
}
END_TEST

static void check_refused(const char *type, const char *body, const char *error)
{
	struct answer answer;

	ask(type, body, &answer);
	ck_assert_uint_eq(answer.status, 400);
	ck_assert_str_eq(answer.reason, error);
	answer_release(&answer);
}

START_TEST(what_is_no_grant_is_refused)
{
	const char *form = "application/x-www-form-urlencoded";
	char *good = make_grant(&(struct claims){ NULL });

	check_refused(form, GRANT "a.b.c", "invalid_grant");
	check_refused(form, GRANT, "invalid_grant");
	check_refused(form, "grant_type=password&assertion=x", "unsupported_grant_type");
	check_refused(form, "assertion=x", "unsupported_grant_type");
	check_refused(form, "", "invalid_request");
	check_refused(form, "%", "invalid_request");
	check_refused("application/json", good, "invalid_request");
	check_refused(NULL, good, "invalid_request");
	good[strlen(good) - 20] ^= 1;
	check_refused(form, good, "invalid_grant");
	free(good);
}
END_TEST

START_TEST(a_form_is_decoded_and_a_broken_one_is_none)
{
	static const char *const broken[] = { "",      "a",       "a=%",      "a=%4", "a=%zz",
		                              "a=%00", "a=1&a=2", "a=1&&b=2", "&",    "a=\xff" };
	const char text[] = "a=1+2&b=%41%2f%c3%BC&c=";
	json_t *form = form_read(text, strlen(text));

	ck_assert_str_eq(jwt_text(form, "a"), "1 2");
	ck_assert_str_eq(jwt_text(form, "b"), "A/\xc3\xbc");
	ck_assert_str_eq(jwt_text(form, "c"), "");
	ck_assert_uint_eq(json_object_size(form), 3);
	json_decref(form);
	for (size_t i = 0; i < ARRAY_LEN(broken); i++)
		ck_assert_msg(form_read(broken[i], strlen(broken[i])) == NULL, "%s", broken[i]);
	ck_assert_ptr_null(form_read("a=\0b=1", 7));
}
END_TEST

START_TEST(a_scripted_error_needs_only_its_status_or_its_code)
{
	struct answer answer = { 0 };

	oauth_refuse(&answer, 0, "invalid_grant");
	ck_assert_uint_eq(answer.status, 400);
	answer_release(&answer);
	oauth_refuse(&answer, 503, NULL);
	ck_assert_str_eq(answer.reason, "temporarily_unavailable");
	answer_release(&answer);
	oauth_refuse(&answer, 0, "quite_new");
	ck_assert_uint_eq(answer.status, 400);
	fake_body_has(&answer, "\"error\":\"quite_new\"");
	answer_release(&answer);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		each_claim_is_checked_and_refused_in_googles_words,
		a_good_grant_gives_an_access_token_for_an_hour,
		the_oldest_access_token_is_forgotten_when_there_are_too_many,
		what_is_no_grant_is_refused,
		a_form_is_decoded_and_a_broken_one_is_none,
		a_scripted_error_needs_only_its_status_or_its_code,
	};
	int result;

	key = EVP_RSA_gen(2048);
	result = unit_run("fake-oauth", tests, ARRAY_LEN(tests), setup, NULL);
	EVP_PKEY_free(key);
	return result;
}
