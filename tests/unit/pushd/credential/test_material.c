#include "pushd/credential/material.c"

#include "pushd/provider/apns.h"
#include "tests/unit/credentials.h"
#include "tests/unit/provider_section.h"
#include "tests/unit/unit.h"

#define TOPIC "org.example.chat"
#define NOW_MS ((int64_t)time(NULL) * 1000)

static char topic[] = TOPIC, other_topic[] = "org.example.other";
static char key_id[] = "KEY0000001", team_id[] = "TEAM000001";
static union provider_section section;
static struct apns_conf *keys;
static struct material *material;

static void setup(void)
{
	keys = provider_section_init(&section, "apns");
	keys->topic = topic;
	keys->key_id = key_id;
	keys->team_id = team_id;
}

static struct material *read_text(const char *text, char **why)
{
	struct material_source source = { .bytes = text, .len = strlen(text) };

	struct credential_wanted wanted = provider_section_wants(&section);

	return material_read(&wanted, &source, why);
}

static void check_refused(char *text, const char *expected)
{
	char *why = NULL;

	material = read_text(text, &why);
	ck_assert_ptr_null(material);
	ck_assert_str_eq(why, expected);
	free(why);
	free(text);
}

static void check_read(const char *text)
{
	char *why = NULL;

	material = read_text(text, &why);
	ck_assert_msg(material != NULL, "%s", why);
}

/* A certificate with its key, as PEM. */
static char *identity(const struct credentials_subject *subject)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	char *own = credentials_certificate(key, subject), *secret = credentials_key(key, NULL);
	char *text = mem_printf("%s%s", own, secret);

	free(own);
	free(secret);
	EVP_PKEY_free(key);
	return text;
}

static char *signing_key(const char *curve)
{
	EVP_PKEY *key = EVP_EC_gen(curve);
	char *text = credentials_key(key, NULL);

	EVP_PKEY_free(key);
	return text;
}

START_TEST(a_signing_key_needs_the_right_curve_ids_and_a_topic)
{
	char *text = signing_key("P-256");

	check_read(text);
	ck_assert_str_eq(material->form->name, "key");
	ck_assert_int_eq(material->expires_ms, 0);
	material_release(material);
	check_refused(signing_key("P-384"), "is no key on the curve P-256");
	keys->topic = NULL;
	check_refused(mem_dup(text),
	              "names no topic, as a certificate does: topic must be configured");
	keys->topic = topic;
	keys->team_id = NULL;
	check_refused(text, "needs the key's id and the team's id, of letters and digits");
}
END_TEST

START_TEST(a_certificate_must_be_for_the_topic)
{
	const struct credentials_subject subject = { .uid = TOPIC }, nobody = { 0 };
	const struct credentials_subject several = { .topics = CREDENTIALS_TOPICS };
	char *text = identity(&subject), *wide = identity(&several);

	check_read(text);
	ck_assert_str_eq(material->form->name, "certificate");
	ck_assert_int_gt(material->expires_ms, NOW_MS);
	material_release(material);
	check_read(wide);
	material_release(material);
	keys->topic = NULL;
	check_read(text);
	material_release(material);
	check_refused(wide, "names no topic (UID of its subject): topic must be configured");
	keys->topic = other_topic;
	check_refused(identity(&several), "is for the topic " TOPIC ", not for org.example.other");
	check_refused(text, "is for the topic " TOPIC ", not for org.example.other");
	check_refused(identity(&nobody), "names no topic, so it isn't for org.example.other");
}
END_TEST

/* TEXT is read, and EXPECTED is what its dates come to. */
static void check_dates(char *text, const char *expected)
{
	char *why;

	check_read(text);
	why = material_judge_dates(material, NOW_MS);
	ck_assert_pstr_eq(why, expected);
	ck_assert(material_is_valid(material, NOW_MS) == (expected == NULL));
	material_release(material);
	free(why);
	free(text);
}

START_TEST(a_certificate_must_be_valid_now)
{
	const struct credentials_subject old = { .uid = TOPIC, .starts_s = -9 * DAY_S, -DAY_S };
	const struct credentials_subject early = { .uid = TOPIC, .starts_s = DAY_S, 9 * DAY_S };
	const struct credentials_subject now = { .uid = TOPIC };
	char *yesterday = material_date(NOW_MS - DAY_S * 1000);
	char *tomorrow = material_date(NOW_MS + DAY_S * 1000);
	char *expired = mem_printf("expired on %s", yesterday);
	char *later = mem_printf("isn't valid before %s", tomorrow);

	check_dates(identity(&old), expired);
	check_dates(identity(&early), later);
	check_dates(identity(&now), NULL);
	free(later);
	free(expired);
	free(tomorrow);
	free(yesterday);
}
END_TEST

START_TEST(a_certificate_of_one_environment_is_not_for_the_other)
{
	const struct credentials_subject subject = { .uid = TOPIC }; /* it says: production */
	char *text = identity(&subject);

	keys->environment = 1;
	check_refused(text, "is for Apple's production alone, and the provider's environment is "
	                    "sandbox");
}
END_TEST

/* What a certificate that says SUBJECT isn't good for. */
static void check_lack(const struct credentials_subject *subject, const char *expected)
{
	struct credential_wanted wanted = provider_section_wants(&section);
	char *text = identity(subject), *lack;

	check_read(text);
	lack = material_lack(material, &wanted);
	ck_assert_pstr_eq(lack, expected);
	free(lack);
	material_release(material);
	free(text);
}

START_TEST(a_certificate_that_is_not_for_all_pushes_says_so)
{
	const struct credentials_subject alerts = { .uid = TOPIC },
	                                 calls = { .uid = TOPIC ".voip" };
	const struct credentials_subject both = { .topics = CREDENTIALS_TOPICS };

	check_lack(&alerts, "isn't for calls (" TOPIC ".voip): they are sent as alerts");
	check_lack(&calls, "is for calls (" TOPIC ".voip) alone: nothing else can be sent with it");
	check_lack(&both, NULL);
}
END_TEST

/* Reads a certificate that says SUBJECT as the one for calls; EXPECTED is what is wrong with it. */
static void check_for_calls(const struct credentials_subject *subject, const char *expected)
{
	struct credential_wanted wanted = provider_section_wants_for_calls(&section);
	char *text = identity(subject), *why = NULL;
	struct material_source source = { .bytes = text, .len = strlen(text) };

	material = material_read(&wanted, &source, &why);
	ck_assert_pstr_eq(why, expected);
	if (material != NULL)
		ck_assert_ptr_null(material_lack(material, &wanted));
	material_release(material);
	free(why);
	free(text);
}

START_TEST(a_certificate_for_calls_alone_is_for_the_topic_of_calls)
{
	const struct credentials_subject alerts = { .uid = TOPIC };
	const struct credentials_subject good[] = { { .uid = TOPIC ".voip" },
		                                    { .topics = CREDENTIALS_TOPICS } };
	const struct credentials_subject other = { .uid = "org.example.other.voip" };
	static char file[] = "/some.file";

	keys->voip_cert_file = file;
	check_lack(&alerts, NULL); /* calls go by the other */
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		check_for_calls(&good[i], NULL);
	check_for_calls(&alerts, "isn't for calls (" TOPIC ".voip)");
	check_for_calls(&other, "is for the topic org.example.other.voip, not for " TOPIC);
}
END_TEST

START_TEST(a_topic_that_cannot_go_into_a_header_is_none)
{
	const struct credentials_subject lines = { .uid = TOPIC "\r\napns-priority: 10" };
	const struct credentials_subject blank = { .uid = "org example" };

	keys->topic = NULL;
	check_refused(identity(&lines),
	              "names no topic (UID of its subject): topic must be configured");
	check_refused(identity(&blank),
	              "names no topic (UID of its subject): topic must be configured");
}
END_TEST

START_TEST(what_is_something_else_is_refused)
{
	check_refused(mem_dup("{\"type\":\"service_account\"}"),
	              "is neither a .p12 file, nor PEM with a certificate and its key, nor a .p8 "
	              "key");
	check_refused(mem_dup(""), "is neither a .p12 file, nor PEM with a certificate and its "
	                           "key, nor a .p8 key");
	check_refused(mem_dup("0"), "is no PKCS #12 file");
}
END_TEST

START_TEST(the_fingerprint_tells_credentials_apart_and_no_secret)
{
	char *text = signing_key("P-256"), first[MATERIAL_FINGERPRINT_SIZE];

	check_read(text);
	snprintf(first, sizeof(first), "%s", material->fingerprint);
	material_release(material);
	check_read(text);
	ck_assert_str_eq(material->fingerprint, first);
	material_release(material);
	key_id[0] = 'L';
	check_read(text);
	ck_assert_str_ne(material->fingerprint, first);
	material_release(material);
	free(text);
}
END_TEST

/* TEXT is written, and what was restored is the same. */
static void check_restored(const char *text)
{
	struct material_source source = { .bytes = text, .len = strlen(text) };
	struct credential_wanted wanted;
	struct material *restored;
	char *written, *why = NULL;

	check_read(text);
	written = material_write(material, &source);
	keys->key_id = keys->team_id = NULL; /* what was set brings its own */
	wanted = provider_section_wants(&section);
	restored = material_restore(&wanted, written, &why);
	ck_assert_msg(restored != NULL, "%s", why);
	ck_assert_str_eq(restored->fingerprint, material->fingerprint);
	material_release(restored);
	material_release(material);
	free(written);
	keys->key_id = key_id;
	keys->team_id = team_id;
}

START_TEST(what_is_kept_can_be_restored)
{
	const struct credentials_subject subject = { .uid = TOPIC };
	struct credential_wanted wanted = provider_section_wants(&section);
	char *key = signing_key("P-256"), *certificate = identity(&subject), *why;

	char *odd = mem_printf("# Schl\xfcssel\n%s", key); /* what isn't UTF-8 is no JSON */

	check_restored(key);
	check_restored(odd);
	check_restored(certificate);
	free(odd);
	ck_assert_ptr_null(material_restore(&wanted, "{}", &why));
	ck_assert_str_eq(why, "is of a form that this version doesn't know");
	free(why);
	free(certificate);
	free(key);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_signing_key_needs_the_right_curve_ids_and_a_topic,
		a_certificate_must_be_for_the_topic,
		a_certificate_must_be_valid_now,
		a_certificate_of_one_environment_is_not_for_the_other,
		a_certificate_that_is_not_for_all_pushes_says_so,
		a_certificate_for_calls_alone_is_for_the_topic_of_calls,
		a_topic_that_cannot_go_into_a_header_is_none,
		what_is_something_else_is_refused,
		the_fingerprint_tells_credentials_apart_and_no_secret,
		what_is_kept_can_be_restored,
	};

	return unit_run("material", tests, sizeof(tests) / sizeof(tests[0]), setup, NULL);
}
