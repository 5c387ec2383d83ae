#include "pushd/provider/apns.c"

#include "tests/unit/credentials.h"
#include "tests/unit/provider_cases.h"
#include "tests/unit/provider_section.h"
#include "tests/unit/unit.h"

#define TOPIC "org.example.chat"

static char topic[] = TOPIC;
static const struct apns_conf plain_keys = { .topic = topic };

static const void *keys_for(const json_t *expected)
{
	return &plain_keys;
}

START_TEST(every_notification_becomes_the_request_that_clients_read)
{
	ck_assert_uint_ge(cases_each("tests/data/apns-request", check_build), 20);
}
END_TEST

START_TEST(every_answer_means_what_apple_documents)
{
	ck_assert_uint_ge(cases_each("tests/data/apns-verdict", check_judge), 35);
}
END_TEST

START_TEST(texts_of_any_length_fit_in_some_form)
{
	static char account[1900], text[3072];
	struct arena arena = { 0 };
	struct provider_settings settings = { .endpoint = "https://x", .own = &plain_keys };
	struct notification notification = { .summary = true, .count = 1000000000 };
	struct provider_message message = {
		.settings = &settings,
		.notification = &notification,
		.priority = PRIORITY_HIGH,
		.account = account,
		.token = "ab",
		.bearer = "JWT",
		.id = "id",
		.arena = &arena,
	};
	struct provider_request request;

	memset(account, '\\', sizeof(account) - 1);
	memset(text, 1, sizeof(text) - 1);
	notification.sender = notification.body = notification.nickname = text;
	ck_assert_int_eq(build(&message, &request), 0);
	ck_assert_uint_eq(request.cut, CUT_ALL);
	ck_assert_uint_le(request.body_len, PAYLOAD_MAX);
	arena_release(&arena);
}
END_TEST

/* What is built of a payload of LEN bytes; REQUEST's texts are gone. */
static int build_payload(size_t len, struct provider_request *request)
{
	static char payload[2 * PAYLOAD_MAX];
	struct arena arena = { 0 };
	struct provider_settings settings = { .endpoint = "https://x", .own = &plain_keys };
	struct notification notification = { .payload = payload, .iv = "aXY=" };
	struct provider_message message = { .settings = &settings,
		                            .notification = &notification,
		                            .priority = PRIORITY_HIGH,
		                            .account = "a@b",
		                            .token = "ab",
		                            .bearer = "JWT",
		                            .id = "id",
		                            .arena = &arena };
	int result;

	memset(payload, 'A', len);
	payload[len] = '\0';
	result = build(&message, request);
	arena_release(&arena);
	return result;
}

START_TEST(what_is_as_long_as_apple_takes_is_not_cut_and_what_is_longer_is)
{
	struct provider_request request;
	size_t len = 1000;

	ck_assert_int_eq(build_payload(len, &request), 0);
	len += PAYLOAD_MAX - request.body_len;
	ck_assert_int_eq(build_payload(len, &request), 0);
	ck_assert_uint_eq(request.body_len, PAYLOAD_MAX);
	ck_assert_uint_eq(request.cut, CUT_NOTHING);
	ck_assert_int_eq(build_payload(len + 1, &request), 0);
	ck_assert_uint_ne(request.cut, CUT_NOTHING);
	ck_assert_uint_le(request.body_len, PAYLOAD_MAX);
}
END_TEST

START_TEST(tokens_are_hex_of_even_length_and_sent_in_lower_case)
{
	static const char *const bad[] = { "", "a", "abc", "zz", "ab ", "ab\n", "0x12", NULL };
	char longest[TOKEN_MAX + 3];
	char *token = accepted("ABcd09");

	ck_assert_str_eq(token, "abcd09");
	free(token);
	for (size_t i = 0; bad[i] != NULL; i++)
		ck_assert_msg(accepted(bad[i]) == NULL, "\"%s\" was accepted", bad[i]);
	memset(longest, 'f', sizeof(longest));
	longest[TOKEN_MAX + 2] = '\0';
	ck_assert_ptr_null(accepted(longest));
	longest[TOKEN_MAX] = '\0';
	token = accepted(longest);
	ck_assert_ptr_nonnull(token);
	free(token);
}
END_TEST

static void check_fault(union provider_section *section, const char *expected)
{
	char *why = check_keys(&section->provider);

	ck_assert_pstr_eq(why, expected);
	free(why);
}

START_TEST(keys_that_do_not_fit_together_are_named)
{
	static char file[] = "/some.file", bad[] = "a b", plain[] = "http://127.0.0.1";
	union provider_section section;
	struct apns_conf *own = provider_section_init(&section, "apns");

	check_fault(&section, NULL);
	own->key_file = file;
	check_fault(&section, "topic is needed");
	own->topic = bad;
	check_fault(&section, "topic and project-id are made of letters, digits and -._:");
	own->topic = topic;
	check_fault(&section, "key-file, key-id and team-id are needed");
	own->key_id = own->team_id = topic;
	check_fault(&section, NULL);
	own->cert_file = file;
	check_fault(&section, "either cert-file or key-file, not both");
	own->cert_file = NULL;
	own->voip_cert_file = file;
	check_fault(&section, "either voip-cert-file or key-file, which is for calls, too");
	own->key_file = own->topic = NULL;
	own->cert_file = file;
	check_fault(&section, "voip-cert-file needs topic");
	own->topic = topic;
	check_fault(&section, NULL);
	own->other_endpoint = plain;
	check_fault(&section, "other-endpoint must be https://HOST[:PORT], not http://127.0.0.1");
}
END_TEST

START_TEST(each_environment_has_its_origin_and_endpoint_is_that_of_the_configured_one)
{
	static char here[] = "https://here.example", there[] = "https://there.example";
	char origin[PROVIDER_ORIGIN_MAX];
	struct provider_environments sends;
	union provider_section section;
	struct apns_conf *own = provider_section_init(&section, "apns");

	ck_assert(find_origin(&section.provider, ENVIRONMENT_PRODUCTION, NULL, origin));
	ck_assert_str_eq(origin, "https://api.push.apple.com");
	ck_assert(find_origin(&section.provider, ENVIRONMENT_SANDBOX, NULL, origin));
	ck_assert_str_eq(origin, "https://api.sandbox.push.apple.com");
	own->environment = APNS_SANDBOX;
	own->try_other_environment = true;
	section.provider.endpoint = here;
	own->other_endpoint = there;
	describe_environments(&section.provider, &sends);
	ck_assert_int_eq(sends.own, ENVIRONMENT_SANDBOX);
	ck_assert_int_eq(sends.other, ENVIRONMENT_PRODUCTION);
	ck_assert(find_origin(&section.provider, ENVIRONMENT_SANDBOX, NULL, origin));
	ck_assert_str_eq(origin, here);
	ck_assert(find_origin(&section.provider, ENVIRONMENT_PRODUCTION, NULL, origin));
	ck_assert_str_eq(origin, there);
}
END_TEST

/* A certificate that says SUBJECT, for the plain topic. */
static struct material *read_certificate(const struct credentials_subject *subject)
{
	static const struct credential_form *const forms[] = { &certificate_form, NULL };
	const struct credential_wanted wanted = { .forms = forms, .topic = TOPIC };
	EVP_PKEY *key = EVP_EC_gen("P-256");
	char *own = credentials_certificate(key, subject), *secret = credentials_key(key, NULL);
	char *text = mem_printf("%s%s", own, secret), *why = NULL;
	struct material_source source = { .bytes = text, .len = strlen(text) };
	struct material *material = material_read(&wanted, &source, &why);

	ck_assert_msg(material != NULL, "%s", why);
	free(text);
	free(own);
	free(secret);
	EVP_PKEY_free(key);
	return material;
}

static int build_call(const struct material *material)
{
	struct arena arena = { 0 };
	struct provider_settings settings = { .endpoint = "https://x",
		                              .own = &plain_keys,
		                              .material = material };
	struct notification notification = { .payload = "QUJD", .iv = "aXY=", .voip = true };
	struct provider_message message = { .settings = &settings,
		                            .notification = &notification,
		                            .priority = PRIORITY_VOIP,
		                            .token = "ab",
		                            .id = "id",
		                            .arena = &arena };
	struct provider_request request;
	int result = build(&message, &request);

	arena_release(&arena);
	return result;
}

START_TEST(a_call_needs_a_certificate_that_is_for_calls)
{
	struct material *alerts = read_certificate(&(struct credentials_subject){ .uid = TOPIC });
	struct material *both =
	        read_certificate(&(struct credentials_subject){ .topics = CREDENTIALS_TOPICS });

	ck_assert_int_eq(build_call(alerts), -1);
	ck_assert_int_eq(build_call(both), 0);
	ck_assert_int_eq(build_call(NULL), 0);
	material_release(alerts);
	material_release(both);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_notification_becomes_the_request_that_clients_read,
		every_answer_means_what_apple_documents,
		texts_of_any_length_fit_in_some_form,
		what_is_as_long_as_apple_takes_is_not_cut_and_what_is_longer_is,
		tokens_are_hex_of_even_length_and_sent_in_lower_case,
		keys_that_do_not_fit_together_are_named,
		each_environment_has_its_origin_and_endpoint_is_that_of_the_configured_one,
		a_call_needs_a_certificate_that_is_for_calls,
	};

	kind = &apns_kind;
	return unit_run("apns", tests, ARRAY_LEN(tests), NULL, NULL);
}
