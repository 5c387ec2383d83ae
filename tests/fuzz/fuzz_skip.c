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
	if (whole > 0 && memchr(data, '>', whole) == NULL && memchr(data, 0, whole) == NULL) {
		char *tag = mem_printf("%.*s/>", (int)whole, (const char *)data);

		assert(skip_in((uint8_t *)tag, whole + 2, whole + 2, &used) == SKIP_DONE);
		assert(used == whole + 2);
		free(tag);
	}
	return 0;
}
