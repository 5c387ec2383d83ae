#include "pushd/credential/service_account.c"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "tests/unit/unit.h"

static json_t *file; /* a right one, to be spoiled */

static void setup(void)
{
	EVP_PKEY *pkey = EVP_RSA_gen(2048);
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long len;

	PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
	len = BIO_get_mem_data(bio, &pem);
	file = json_pack("{s:s, s:s, s:s, s:s%, s:s, s:s}", "type", "service_account", "project_id",
	                 "proj-1", "private_key_id", "k1", "private_key", pem, (size_t)len,
	                 "client_email", "fcm@proj-1.iam.gserviceaccount.com", "token_uri",
	                 "https://oauth2.googleapis.com/token");
	BIO_free(bio);
	EVP_PKEY_free(pkey);
}

static void teardown(void)
{
	json_decref(file);
}

static int read_file(struct service_account *account, const char **why)
{
	char *text = json_dumps(file, 0);
	int result = service_account_read(account, text, strlen(text), why);

	free(text);
	return result;
}

START_TEST(a_right_file_is_read)
{
	struct service_account account;
	const char *why = "unset";

	ck_assert_int_eq(read_file(&account, &why), 0);
	ck_assert_str_eq(account.client_email, "fcm@proj-1.iam.gserviceaccount.com");
	ck_assert_str_eq(account.private_key_id, "k1");
	ck_assert_str_eq(account.token_uri, "https://oauth2.googleapis.com/token");
	ck_assert_str_eq(account.project_id, "proj-1");
	ck_assert_ptr_nonnull(account.key);
	service_account_release(&account);
	json_object_del(file, "project_id");
	ck_assert_int_eq(read_file(&account, &why), 0);
	ck_assert_ptr_null(account.project_id);
	service_account_release(&account);
}
END_TEST

/* Reads FILE with KEY changed to VALUE (NULL: without it), which must fail with WHY. */
static void check_spoiled(const char *key, const char *value, const char *expected)
{
	json_t *old = json_incref(json_object_get(file, key));
	struct service_account account;
	const char *why = "unset";

	if (value != NULL)
		json_object_set_new(file, key, json_string(value));
	else
		json_object_del(file, key);
	ck_assert_int_eq(read_file(&account, &why), -1);
	ck_assert_str_eq(why, expected);
	json_object_set_new(file, key, old);
}

START_TEST(a_file_that_lacks_something_is_refused_with_what_it_lacks)
{
	static const char no_key[] =
	        "has a private_key that is no RSA key of 2048 to 8192 bits, or is damaged";
	struct service_account account;
	const char *why;

	check_spoiled("type", "authorized_user", "has no \"type\": \"service_account\"");
	check_spoiled("client_email", NULL, "has no client_email");
	check_spoiled("private_key_id", "", "has no private_key_id");
	check_spoiled("private_key", NULL, "has no private_key");
	check_spoiled("private_key", "garbage", no_key);
	check_spoiled("project_id", "proj-1/../proj-2",
	              "has a project_id of other characters than letters, digits and -._:");
	check_spoiled("token_uri", "http://oauth2.googleapis.com/token",
	              "has no token_uri with https");
	ck_assert_int_eq(service_account_read(&account, "[]", 2, &why), -1);
	ck_assert_str_eq(why, "is no JSON object");
	ck_assert_int_eq(service_account_read(&account, "{", 1, &why), -1);
	ck_assert_str_eq(why, "is no JSON object");
}
END_TEST

START_TEST(a_grant_is_a_form_with_a_signed_assertion_for_an_hour)
{
	static const char start[] =
	        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
	        "&assertion=eyJ";
	struct service_account account;
	const char *why, *claims, *dot;
	unsigned char text[1024];
	char padded[1024] = "";
	json_t *json;
	char *form;

	ck_assert_int_eq(read_file(&account, &why), 0);
	form = service_account_grant(&account, 1700000000);
	ck_assert_int_eq(strncmp(form, start, strlen(start)), 0);
	claims = strchr(form, '.') + 1;
	dot = strchr(claims, '.');
	memset(padded, '=', (size_t)(dot - claims + 3) / 4 * 4);
	memcpy(padded, claims, (size_t)(dot - claims));
	ck_assert_int_gt(EVP_DecodeBlock(text, (unsigned char *)padded, (int)strlen(padded)), 0);
	json = json_loads((char *)text, JSON_DISABLE_EOF_CHECK, NULL);
	ck_assert_str_eq(json_string_value(json_object_get(json, "iss")), account.client_email);
	ck_assert_str_eq(json_string_value(json_object_get(json, "aud")), account.token_uri);
	ck_assert_str_eq(json_string_value(json_object_get(json, "scope")), SCOPE);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "iat")), 1700000000);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "exp")), 1700003600);
	json_decref(json);
	free(form);
	service_account_release(&account);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_right_file_is_read,
		a_file_that_lacks_something_is_refused_with_what_it_lacks,
		a_grant_is_a_form_with_a_signed_assertion_for_an_hour,
	};

	return unit_run("service_account", tests, sizeof(tests) / sizeof(tests[0]), setup,
	                teardown);
}
