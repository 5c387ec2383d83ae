#include "tests/fuzz/fuzz.h"
#include "xmppgw/commands/amount.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	char *text = fuzz_rest(&input), written[AMOUNT_TEXT_MAX], *wrong;
	int64_t bytes, again;

	wrong = amount_parse(text, &bytes);
	if (wrong == NULL) {
		(void)amount_round(bytes, written);
		assert(amount_parse(amount_format(bytes, written), &again) == NULL);
		assert(bytes == again);
	}
	free(wrong);
	free(text);
	return 0;
}
