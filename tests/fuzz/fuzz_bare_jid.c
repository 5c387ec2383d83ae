#include "pushd/device/bare_jid.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	char *text = fuzz_rest(&input), *prepared, *again;

	if (bare_jid_valid(text)) {
		prepared = bare_jid_prepare(text);
		again = bare_jid_prepare(prepared);
		assert(bare_jid_valid(prepared) && strcmp(prepared, again) == 0);
		assert(strlen(bare_jid_domain(prepared)) >= 1);
		assert(strlen(bare_jid_domain(prepared)) <= BARE_JID_DOMAIN_MAX);
		free(again);
		free(prepared);
	}
	free(text);
	return 0;
}
