#include "tests/fakes/headers.c"
#include "tests/fakes/jwt.c"
#include "tests/fakes/request.c"

#include "tests/unit/fake.h"
#include "tests/unit/unit.h"

static EVP_PKEY *ec, *other_ec, *rsa;

static enum jwt_verdict read_token(EVP_PKEY *signer, const char *header, EVP_PKEY *checker)
{
	char *token = fake_jwt(signer, header, "{\"iss\":\"T\",\"iat\":7}");
	struct jwt jwt;
	enum jwt_verdict verdict = jwt_read(&jwt, token, checker);

	if (verdict == JWT_GOOD) {
		ck_assert_str_eq(jwt_text(jwt.claims, "iss"), "T");
		ck_assert_int_eq(jwt_number(jwt.claims, "iat"), 7);
		ck_assert_str_eq(jwt_text(jwt.claims, "kid"), "");
		ck_assert_int_eq(jwt_number(jwt.claims, "exp"), -1);
	} else {
		ck_assert_ptr_null(jwt.claims);
	}
	jwt_release(&jwt);
	free(token);
	return verdict;
}

START_TEST(a_token_is_good_only_under_the_key_and_algorithm_that_signed_it)
{
	ck_assert_int_eq(read_token(ec, "{\"alg\":\"ES256\"}", ec), JWT_GOOD);
	ck_assert_int_eq(read_token(rsa, "{\"alg\":\"RS256\"}", rsa), JWT_GOOD);
	ck_assert_int_eq(read_token(ec, "{\"alg\":\"ES256\"}", other_ec), JWT_BAD_SIGNATURE);
	ck_assert_int_eq(read_token(rsa, "{\"alg\":\"ES256\"}", ec), JWT_BAD_SIGNATURE);
	ck_assert_int_eq(read_token(ec, "{\"alg\":\"RS256\"}", ec), JWT_OTHER_ALGORITHM);
	ck_assert_int_eq(read_token(ec, "{\"alg\":\"none\"}", ec), JWT_OTHER_ALGORITHM);
	ck_assert_int_eq(read_token(ec, "{}", ec), JWT_OTHER_ALGORITHM);
	ck_assert_int_eq(read_token(ec, "[]", ec), JWT_MALFORMED);
	ck_assert_int_eq(read_token(ec, "{", ec), JWT_MALFORMED);
}
END_TEST

START_TEST(no_token_is_good_with_any_character_changed_or_cut_off)
{
	char *token = fake_jwt(ec, "{\"alg\":\"ES256\"}", "{\"iat\":7}");
	size_t len = strlen(token);
	struct jwt jwt;

	/* The last character of 86 carries 4 bits that nobody reads. */
	for (size_t i = 0; i + 1 < len; i++) {
		char kept = token[i];

		token[i] = kept == 'A' ? 'B' : 'A';
		ck_assert_msg(jwt_read(&jwt, token, ec) != JWT_GOOD, "changed at %zu", i);
		token[i] = '\0';
		ck_assert_msg(jwt_read(&jwt, token, ec) != JWT_GOOD, "cut at %zu", i);
		token[i] = kept;
	}
	ck_assert_int_eq(jwt_read(&jwt, token, ec), JWT_GOOD);
	jwt_release(&jwt);
	free(token);
}
END_TEST

START_TEST(what_is_no_token_is_malformed)
{
	static const char *const texts[] = { "", ".", "..", "a.b.c", "e30.e30", "e30.e30.*" };
	char *huge = mem_alloc(2 * JWT_MAX, 1);
	struct jwt jwt;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		ck_assert_int_ne(jwt_read(&jwt, texts[i], ec), JWT_GOOD);
	memset(huge, 'a', 2 * JWT_MAX - 1);
	huge[2 * JWT_MAX - 6] = huge[2 * JWT_MAX - 4] = '.';
	ck_assert_int_eq(jwt_read(&jwt, huge, ec), JWT_MALFORMED);
	free(huge);
}
END_TEST

START_TEST(a_number_that_is_absurd_counts_as_absent)
{
	json_t *claims = json_loads("{\"a\":1e300,\"b\":-5,\"c\":1.5,\"d\":\"7\"}", 0, NULL);

	ck_assert_int_eq(jwt_number(claims, "a"), -1);
	ck_assert_int_eq(jwt_number(claims, "b"), -1);
	ck_assert_int_eq(jwt_number(claims, "c"), 1);
	ck_assert_int_eq(jwt_number(claims, "d"), -1);
	json_decref(claims);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_token_is_good_only_under_the_key_and_algorithm_that_signed_it,
		no_token_is_good_with_any_character_changed_or_cut_off,
		what_is_no_token_is_malformed,
		a_number_that_is_absurd_counts_as_absent,
	};
	int result;

	ec = EVP_EC_gen("P-256");
	other_ec = EVP_EC_gen("P-256");
	rsa = EVP_RSA_gen(2048);
	result = unit_run("fake-jwt", tests, ARRAY_LEN(tests), NULL, NULL);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(other_ec);
	EVP_PKEY_free(rsa);
	return result;
}
