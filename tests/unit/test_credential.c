#include "common/loop.h"

static int64_t wall_ms; /* what the clock says, which may be wrong and be set right */

static int64_t told_wall_ms(void)
{
	return wall_ms;
}
#define loop_wall_ms told_wall_ms
#include "pushd/credential.c"
#undef loop_wall_ms

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define NOW_MS INT64_C(1800000000000)
#define MINUTE_MS 60000

static char path[] = "/tmp/og-unit-XXXXXX";
static char key_id[] = "KEY0000001", team_id[] = "TEAM000001";
static struct conf_provider provider = {
	.key_file = path,
	.key_id = key_id,
	.team_id = team_id,
};
static struct credential_watch watch;
static struct credential *credential;

static void setup(void)
{
	FILE *file = fdopen(mkstemp(path), "w");
	EVP_PKEY *key = EVP_EC_gen("P-256");
	char *why = NULL;

	ck_assert_int_eq(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	EVP_PKEY_free(key);
	wall_ms = NOW_MS;
	credential = credential_open(&provider, &watch, &why);
	ck_assert_msg(credential != NULL, "%s", why);
}

static void teardown(void)
{
	credential_close(credential, &watch);
	unlink(path);
}

/* Which token is shown now, counted from 1. */
static unsigned shown(void)
{
	unsigned generation = 0;

	ck_assert_ptr_nonnull(credential_bearer(credential, &generation));
	return generation;
}

START_TEST(a_token_is_kept_for_fifty_minutes)
{
	ck_assert_uint_eq(shown(), 1);
	wall_ms = NOW_MS + 50 * MINUTE_MS;
	ck_assert_uint_eq(shown(), 1);
	wall_ms++;
	ck_assert_uint_eq(shown(), 2);
}
END_TEST

START_TEST(a_refused_token_is_renewed_once_and_no_younger_than_twenty_minutes)
{
	ck_assert_uint_eq(shown(), 1);
	wall_ms = NOW_MS + 20 * MINUTE_MS;
	credential_renew(credential, 1);
	ck_assert_uint_eq(shown(), 1);
	wall_ms++;
	credential_renew(credential, 1);
	credential_renew(credential, 1);
	ck_assert_uint_eq(shown(), 2);
}
END_TEST

START_TEST(a_token_that_a_wrong_clock_has_dated_goes_once_the_clock_is_right)
{
	wall_ms = 1000; /* a machine without a clock of its own, before it has asked for the time */
	ck_assert_uint_eq(shown(), 1);
	wall_ms = NOW_MS;
	ck_assert_uint_eq(shown(), 2);
	wall_ms = NOW_MS - 2 * MINUTE_MS; /* it was ahead: the token is from the future */
	ck_assert_uint_eq(shown(), 3);
	wall_ms -= 500; /* as small corrections do */
	ck_assert_uint_eq(shown(), 3);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_token_is_kept_for_fifty_minutes,
		a_refused_token_is_renewed_once_and_no_younger_than_twenty_minutes,
		a_token_that_a_wrong_clock_has_dated_goes_once_the_clock_is_right,
	};

	return unit_run("credential", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
