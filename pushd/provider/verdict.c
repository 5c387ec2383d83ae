#include "pushd/provider/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define RETRY_AFTER_MOST_S 86400

const char *const verdict_names[VERDICT_COUNT + 1] = {
	[VERDICT_SENT] = "sent",
	[VERDICT_GONE] = "gone",
	[VERDICT_SUSPECT] = "suspect",
	[VERDICT_REJECTED] = "rejected",
	[VERDICT_TOO_LARGE] = "too_large",
	[VERDICT_THROTTLED] = "throttled",
	[VERDICT_TRANSIENT] = "transient",
	[VERDICT_EXPIRED] = "expired",
	[VERDICT_CREDENTIAL] = "credential",
	[VERDICT_UNREACHABLE] = "unreachable",
	[VERDICT_UNKNOWN] = "unknown",
};

/* Milliseconds of a Retry-After of seconds; 0 for none and for a date. */
static int64_t retry_after_ms(const char *header)
{
	char *end;
	long seconds;

	if (header == NULL)
		return 0;
	seconds = strtol(header, &end, 10);
	if (end == header || *end != '\0' || seconds <= 0 || seconds > RETRY_AFTER_MOST_S)
		return 0;
	return seconds * 1000;
}

void verdict_look_up(struct judgement *judgement, const struct verdict_row *table,
                     const struct provider_answer *answer, const char *reason)
{
	const struct verdict_row *row = table;
	int64_t wait_ms = retry_after_ms(answer->retry_after);

	while ((row->status != 0 && row->status != answer->status &&
	        row->status != answer->status / 100) ||
	       (row->reason != NULL && strcmp(row->reason, reason) != 0))
		row++;
	judgement->verdict = row->verdict;
	judgement->status = answer->status;
	judgement->reconnect = row->effects & EFFECT_RECONNECT;
	judgement->token_fault = row->effects & EFFECT_TOKEN_FAULT;
	judgement->other_environment = row->effects & EFFECT_OTHER_ENVIRONMENT;
	judgement->pause_provider = row->effects & EFFECT_PAUSE_PROVIDER;
	judgement->speechless = row->effects & EFFECT_SPEECHLESS;
	judgement->retry_after_ms = row->wait_s * 1000;
	/* The provider's own wait counts; a throttled device waits for the row's at least. */
	if (wait_ms > judgement->retry_after_ms ||
	    (wait_ms > 0 && row->verdict != VERDICT_THROTTLED))
		judgement->retry_after_ms = wait_ms;
	if (*reason != '\0')
		mem_copy_word(judgement->reason, sizeof(judgement->reason), reason);
	else
		snprintf(judgement->reason, sizeof(judgement->reason), "status-%u", answer->status);
}
