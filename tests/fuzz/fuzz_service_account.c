#include "pushd/credential/service_account.h"

#include "tests/fuzz/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *rsa;
	struct fuzz_input input = { data, size };
	char *text = fuzz_rest(&input), *all;
	struct service_account account;
	const char *why = NULL;

	if (rsa == NULL)
		rsa = keys_print(EVP_RSA_gen(2048), true);
	all = keys_fill(text, "@RSA@", rsa);
	if (service_account_read(&account, all, strlen(all), &why) == 0) {
		assert(account.client_email[0] != '\0' && account.token_uri[0] != '\0');
		service_account_release(&account);
	} else {
		assert(why != NULL);
	}
	free(all);
	free(text);
	return 0;
}
