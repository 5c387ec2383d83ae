#include "pushd/credential/credential.c"

#include "common/base/file.h"
#include "pushd/provider/apns.h"
#include "tests/unit/credentials.h"
#include "tests/unit/provider_section.h"
#include "tests/unit/unit.h"

#define TOPIC "org.example.chat"

static char path[] = "/tmp/og-unit-XXXXXX", topic[] = TOPIC;
static char key_id[] = "KEY0000001", team_id[] = "TEAM000001";
static union provider_section section;
static struct apns_conf *keys;
static struct credential *credential;
static int changes;

static void on_changed(struct credential_watch *watch)
{
	changes++;
}

static struct credential_watch watch = { .changed = on_changed };

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	fputs(text, file);
	fclose(file);
}

static void write_key(const char *curve)
{
	EVP_PKEY *key = EVP_EC_gen(curve);
	char *text = credentials_key(key, NULL);

	write_file(text);
	free(text);
	EVP_PKEY_free(key);
}

static void write_identity(const struct credentials_subject *subject)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	char *own = credentials_certificate(key, subject), *secret = credentials_key(key, NULL);
	char *text = mem_printf("%s%s", own, secret);

	write_file(text);
	free(text);
	free(secret);
	free(own);
	EVP_PKEY_free(key);
}

static void write_certificate(void)
{
	write_identity(&(struct credentials_subject){ .uid = TOPIC });
}

static void write_expired(void)
{
	write_identity(&(struct credentials_subject){
	        .uid = TOPIC, .starts_s = -9 * DAY_S, .ends_s = -DAY_S });
}

/* What the file holds. */
static struct material *read_it(void)
{
	struct credential_wanted wanted;
	struct material_source source = { 0 };
	char *bytes = file_read(path, 65536, &source.len), *why = NULL;
	struct material *material;

	source.bytes = bytes;
	wanted = provider_section_wants(&section);
	material = material_read(&wanted, &source, &why);
	ck_assert_msg(material != NULL, "%s", why);
	free(bytes);
	return material;
}

static void setup(void)
{
	loop_init();
	close(mkstemp(path));
	keys = provider_section_init(&section, "apns");
	keys->topic = topic;
	keys->key_file = path;
	keys->key_id = key_id;
	keys->team_id = team_id;
}

static int check_at_start(bool settable, char **why)
{
	struct credential_wanted wanted = provider_section_wants(&section);

	return credential_check(&wanted, settable, why);
}

static int check_file(char **why)
{
	struct credential_wanted wanted = provider_section_wants(&section);

	return credential_check_file(&wanted, why);
}

static void open_it(void)
{
	char *why = NULL;

	credential = credential_open(&section.provider, apns_kind.credential, &watch, &why);
	ck_assert_msg(credential != NULL, "%s", why);
}

static void teardown(void)
{
	if (credential != NULL)
		credential_close(credential);
	unlink(path);
	loop_release();
}

START_TEST(a_signing_key_gives_a_bearer_token_and_a_certificate_does_not)
{
	unsigned generation = 0;

	write_key("P-256");
	open_it();
	ck_assert_int_eq(credential_state(credential, NULL), CREDENTIAL_READY);
	ck_assert_ptr_nonnull(credential_bearer(credential, NULL, &generation));
	ck_assert_uint_gt(generation, 0);
	ck_assert_ptr_null(credential_material(credential)->certificate);
	ck_assert_ptr_null(credential_material(credential)->tls_key);
	ck_assert_ptr_null(credential_material(credential)->topic);
	credential_close(credential);
	write_certificate();
	keys->cert_file = path;
	keys->key_file = NULL;
	open_it();
	ck_assert_int_eq(credential_state(credential, NULL), CREDENTIAL_READY);
	ck_assert_ptr_null(credential_bearer(credential, NULL, &generation));
	ck_assert_ptr_nonnull(
	        strstr(credential_material(credential)->certificate, "BEGIN CERTIFICATE"));
	ck_assert_ptr_nonnull(
	        strstr(credential_material(credential)->tls_key, "BEGIN PRIVATE KEY"));
	ck_assert_str_eq(credential_material(credential)->topic, TOPIC);
}
END_TEST

START_TEST(a_file_that_changed_is_used_after_a_reload_and_one_at_fault_is_not)
{
	unsigned before, generation = 0, renewed = 0, version;

	write_key("P-256");
	open_it();
	version = credential_version(credential);
	ck_assert_ptr_nonnull(credential_bearer(credential, NULL, &generation));
	before = generation;
	credentials_reload();
	ck_assert_uint_eq(credential_version(credential), version);
	write_key("P-384");
	credentials_reload();
	ck_assert_uint_eq(credential_version(credential), version);
	ck_assert_int_eq(changes, 0);
	write_key("P-256");
	credentials_reload();
	ck_assert_uint_ne(credential_version(credential), version);
	ck_assert_int_eq(changes, 1);
	ck_assert_ptr_nonnull(credential_bearer(credential, NULL, &renewed));
	ck_assert_uint_ne(renewed, before);
	credential_renew(credential, NULL,
	                 before); /* a late answer to the old one changes nothing */
	ck_assert_ptr_nonnull(credential_bearer(credential, NULL, &generation));
	ck_assert_uint_eq(generation, renewed);
}
END_TEST

START_TEST(without_files_there_is_none_until_one_is_set)
{
	struct material *material;

	write_certificate();
	material = read_it();
	keys->key_file = NULL;
	open_it();
	ck_assert_int_eq(credential_state(credential, NULL), CREDENTIAL_ABSENT);
	ck_assert_uint_eq(credential_version(credential), 0);
	credential_set(credential, material);
	ck_assert_int_eq(credential_state(credential, NULL), CREDENTIAL_READY);
	ck_assert_uint_ne(credential_version(credential), 0);
	ck_assert_ptr_eq(credential_find("p"), credential);
	ck_assert_ptr_null(credential_find("q"));
	credential_set(credential, NULL);
	ck_assert_int_eq(credential_state(credential, NULL), CREDENTIAL_ABSENT);
	ck_assert_ptr_null(credential_material(credential));
	ck_assert_int_eq(changes, 2);
	material_release(material);
}
END_TEST

START_TEST(an_expired_certificate_is_known_for_what_it_is_until_a_better_one_comes)
{
	struct material *good;
	char *why = NULL;

	write_certificate();
	good = read_it();
	write_expired();
	keys->cert_file = path;
	keys->key_file = NULL;
	ck_assert_int_eq(check_file(&why), -1);
	ck_assert_ptr_nonnull(strstr(why, " expired on "));
	free(why);
	ck_assert_int_eq(check_at_start(false, &why), 0);
	open_it();
	ck_assert_int_eq(credential_state(credential, NULL), CREDENTIAL_INVALID);
	ck_assert_int_lt(credential_material(credential)->expires_ms, loop_wall_ms());
	ck_assert_str_eq(credential_material(credential)->topic, TOPIC);
	credential_set(credential, good);
	ck_assert_int_eq(credential_state(credential, NULL), CREDENTIAL_READY);
	ck_assert(credential_is_stored(credential));
	credential_set(credential, NULL);
	ck_assert_int_eq(credential_state(credential, NULL), CREDENTIAL_INVALID);
	ck_assert(!credential_is_stored(credential));
	ck_assert_int_eq(changes, 2);
	write_certificate();
	credentials_reload();
	ck_assert_int_eq(credential_state(credential, NULL), CREDENTIAL_READY);
	write_expired();
	credentials_reload(); /* the good one stays */
	ck_assert_int_eq(credential_state(credential, NULL), CREDENTIAL_READY);
	material_release(good);
}
END_TEST

START_TEST(one_that_was_set_and_has_expired_gives_way_to_a_good_file)
{
	struct material *old, *good;

	write_certificate();
	good = read_it();
	write_expired();
	old = read_it();
	write_certificate();
	keys->cert_file = path;
	keys->key_file = NULL;
	open_it();
	credential_set(credential, old);
	ck_assert_int_eq(credential_state(credential, NULL), CREDENTIAL_READY);
	ck_assert(!credential_is_stored(credential));
	ck_assert_int_eq(changes, 0);
	credential_set(credential, good);
	ck_assert(credential_is_stored(credential));
	ck_assert_int_eq(changes, 1);
	good->expires_ms = loop_wall_ms() - 1; /* a year later */
	on_sealed_store_got(&credential->call, SEALED_SAME, NULL);
	ck_assert_int_eq(credential_state(credential, NULL), CREDENTIAL_READY);
	ck_assert(!credential_is_stored(credential));
	ck_assert_int_eq(changes, 2);
	material_release(old);
	material_release(good);
}
END_TEST

/* Without one configured it has no material, and one may come later. */
START_TEST(the_one_for_calls_comes_from_its_file_and_is_another)
{
	struct credential *calls;
	char *why = NULL;

	write_key("P-256");
	open_it();
	keys->key_file = NULL;
	calls = credential_open(&section.provider, apns_kind.call_credential, &watch, &why);
	ck_assert_ptr_nonnull(calls);
	ck_assert_ptr_null(credential_material(calls));
	ck_assert_ptr_eq(credential_find("p"), credential);
	ck_assert_ptr_eq(credential_find_for_calls("p"), calls);
	ck_assert_ptr_null(credential_find_for_calls("q"));
	ck_assert(credential_is_for_calls(calls) && !credential_is_for_calls(credential));
	keys->voip_cert_file = path;
	write_identity(&(struct credentials_subject){ .uid = TOPIC });
	credentials_reload();
	ck_assert_ptr_null(credential_material(calls));
	write_identity(&(struct credentials_subject){ .uid = TOPIC ".voip" });
	credentials_reload();
	ck_assert_int_eq(credential_state(calls, NULL), CREDENTIAL_READY);
	ck_assert_str_eq(credential_material(calls)->topic, TOPIC ".voip");
	keys->voip_cert_file = NULL;
	credentials_reload();
	ck_assert_ptr_null(credential_material(calls));
	credential_close(calls);
}
END_TEST

static void check_fault(const char *expected, bool settable)
{
	char *why = NULL;

	ck_assert_int_eq(check_at_start(settable, &why), -1);
	ck_assert_msg(strncmp(why, expected, strlen(expected)) == 0, "%s", why);
	free(why);
}

START_TEST(a_file_that_is_of_no_use_is_named)
{
	char *why = NULL;

	write_key("P-256");
	ck_assert_int_eq(check_at_start(false, &why), 0);
	write_file("");
	check_fault("key-file /tmp/og-unit-", false);
	unlink(path);
	check_fault("key-file /tmp/og-unit-", false);
	ck_assert_int_eq(check_at_start(true, &why), 0); /* another may be set */
	ck_assert_int_eq(check_file(&why), -1);
	free(why);
	keys->key_file = NULL;
	check_fault("cert-file is needed, or key-file, key-id and team-id are needed", false);
	ck_assert_int_eq(check_at_start(true, &why), 0);
	keys->key_file = path;
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_signing_key_gives_a_bearer_token_and_a_certificate_does_not,
		a_file_that_changed_is_used_after_a_reload_and_one_at_fault_is_not,
		without_files_there_is_none_until_one_is_set,
		an_expired_certificate_is_known_for_what_it_is_until_a_better_one_comes,
		one_that_was_set_and_has_expired_gives_way_to_a_good_file,
		the_one_for_calls_comes_from_its_file_and_is_another,
		a_file_that_is_of_no_use_is_named,
	};

	return unit_run("credential", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
