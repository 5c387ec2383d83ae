#include "common/redis/redis_url.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	char *text = fuzz_rest(&input);
	struct redis_url url;

	if (redis_url_parse(&url, text) == NULL) {
		assert((url.host == NULL) != (url.path == NULL));
		redis_url_release(&url);
	} else {
		assert(url.host == NULL && url.path == NULL && url.password == NULL);
	}
	free(text);
	return 0;
}
