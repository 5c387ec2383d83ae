/* A provider's answer: the first line is its status, the second its Retry-After, then the body. */
#include "pushd/provider/kinds.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	char *status = fuzz_line(&input), *retry_after = fuzz_line(&input), *id = fuzz_line(&input);
	size_t len = input.size;
	char *body = fuzz_rest(&input);
	struct provider_answer answer = {
		.status = (unsigned)strtoul(status, NULL, 10),
		.body = body,
		.body_len = len,
		.wanted = { *id != '\0' ? id : NULL },
		.retry_after = *retry_after != '\0' ? retry_after : NULL,
	};

	for (size_t i = 0; provider_kinds[i] != NULL; i++) {
		struct judgement judgement;

		provider_kinds[i]->judge(&answer, &judgement);
		assert(judgement.verdict != VERDICT_SENT || answer.status == 200);
		assert(judgement.verdict < VERDICT_COUNT);
		assert(memchr(judgement.reason, '\0', sizeof(judgement.reason)) != NULL);
		assert(memchr(judgement.id, '\0', sizeof(judgement.id)) != NULL);
		assert(judgement.retry_after_ms >= 0);
	}
	free(body);
	free(id);
	free(retry_after);
	free(status);
	return 0;
}
