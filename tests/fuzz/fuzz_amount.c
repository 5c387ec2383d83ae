/* Amounts of bytes as operators write them: what is read is written as the same amount. */
#include "common/config/config_value.h"
#include "tests/fuzz/fuzz.h"

static const struct config_key limit = { "limit", CONFIG_LIMIT };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	char *text = fuzz_rest(&input), *wrong;
	int64_t bytes = 0, again = 0;
	struct buf written = { 0 };

	wrong = config_value_parse(&limit, &bytes, text);
	if (wrong == NULL) {
		char *copy;

		config_value_print(&limit, &bytes, &written);
		copy = buf_take(&written);
		assert(config_value_parse(&limit, &again, copy) == NULL);
		assert(bytes == again);
		free(copy);
	}
	free(wrong);
	free(text);
	return 0;
}
