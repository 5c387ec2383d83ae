#include "relayd/quota/month.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	char *text = fuzz_rest(&input);
	unsigned number = month_parse(text);
	int64_t second = 0;
	struct month month;

	if (number != MONTH_NONE)
		assert(number % 100 >= 1 && number % 100 <= 12);
	memcpy(&second, data, size < sizeof(second) ? size : sizeof(second));
	if (second >= 0 && second < INT64_C(1) << 36) { /* some 2,000 years */
		month = month_of(second);
		assert(month.start_s <= second && second < month.end_s);
		assert(month.end_s - month.start_s <= 31 * 86400);
		assert(month_of(month.end_s).start_s == month.end_s);
	}
	free(text);
	return 0;
}
