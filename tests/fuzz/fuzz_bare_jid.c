#include "pushd/device/bare_jid.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	char *text = fuzz_rest(&input), *folded, *again;

	if (bare_jid_valid(text)) {
		folded = bare_jid_fold(text);
		again = bare_jid_fold(folded);
		assert(bare_jid_valid(folded) && strcmp(folded, again) == 0);
		assert(strlen(bare_jid_domain(folded)) >= 1);
		assert(strlen(bare_jid_domain(folded)) <= BARE_JID_DOMAIN_MAX);
		free(again);
		free(folded);
	}
	free(text);
	return 0;
}
