/* What is skipped in one piece is skipped in many, and a whole tag can be ended. */
#include "tests/fuzz/fuzz.h"
#include "xmppgw/xmpp/skip.h"

/* The result for DATA in pieces of STEP bytes; *USED are the bytes of the element. */
static enum skip_result skip_in(const uint8_t *data, size_t size, size_t step, size_t *used)
{
	struct skip skip = { .depth = 1 };
	enum skip_result result = SKIP_MORE;
	size_t now;

	for (*used = 0; *used < size && result == SKIP_MORE; *used += now) {
		size_t left = size - *used, len = left < step ? left : step;

		result = skip_feed(&skip, (const char *)data + *used, len, &now);
		assert(now <= len && (now == len || result != SKIP_MORE));
	}
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 7 };
	size_t whole_used, used, whole = skip_whole((const char *)data, size);
	enum skip_result result = skip_in(data, size, size, &whole_used);

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		assert(skip_in(data, size, steps[i], &used) == result);
		assert(used == whole_used);
	}
	assert(whole <= size);
	if (whole > 0) { /* what is whole is a start tag that can be ended */
		char *tag = mem_printf("%.*s/>", (int)whole, (const char *)data);
		size_t len = strlen(tag);

		if (len == whole + 2) { /* no NUL in it */
			assert(skip_in((uint8_t *)tag, len, len, &used) == SKIP_DONE);
			assert(used == len);
		}
		free(tag);
	}
	return 0;
}
