#include "pushd/credential/jwt.h"

#include "tests/fuzz/keys.h"

static void read_key(const char *text, enum jwt_algorithm algorithm)
{
	const char *why = NULL;
	struct jwt_key *key = jwt_key_read(text, strlen(text), algorithm, &why);

	assert((key == NULL) == (why != NULL));
	jwt_key_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *ec, *rsa;
	struct fuzz_input input = { data, size };
	char *text = fuzz_rest(&input), *some, *all;

	if (ec == NULL) {
		ec = keys_print(EVP_EC_gen("P-256"), false);
		rsa = keys_print(EVP_RSA_gen(2048), false);
	}
	some = keys_fill(text, "@EC@", ec);
	all = keys_fill(some, "@RSA@", rsa);
	read_key(all, JWT_ES256);
	read_key(all, JWT_RS256);
	free(all);
	free(some);
	free(text);
	return 0;
}
