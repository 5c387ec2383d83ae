#include "pushd/provider/provider.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pushd/provider/apns.h"
#include "pushd/provider/fcm.h"

#define BODY_LONG 512 /* characters; what Tigase's component did, and clients expect */
#define BODY_KEPT 500
/* Bytes that are enough nearly always: what fits in them is made once. */
#define BODY_USUAL 1024
#define PRINT_USUAL 512

#define KIND(kind) &kind##_kind,
const struct provider_kind *const provider_kinds[] = { PROVIDER_KINDS(KIND) NULL };

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

void judgement_look_up(struct judgement *judgement, const struct verdict_row *table,
                       const struct provider_answer *answer, const char *reason)
{
	const struct verdict_row *row = table;
	int64_t wait_ms = provider_retry_after_ms(answer->retry_after);

	while ((row->status != 0 && row->status != answer->status &&
	        row->status != answer->status / 100) ||
	       (row->reason != NULL && strcmp(row->reason, reason) != 0))
		row++;
	judgement->verdict = row->verdict;
	judgement->status = answer->status;
	judgement->reconnect = row->effects & EFFECT_RECONNECT;
	judgement->doubtful = row->effects & EFFECT_DOUBTFUL;
	judgement->everyone = row->effects & EFFECT_EVERYONE;
	judgement->retry_after_ms = row->wait_s * 1000;
	/* What the provider says counts, but a hot device has its minute of peace. */
	if (wait_ms > judgement->retry_after_ms ||
	    (wait_ms > 0 && row->verdict != VERDICT_THROTTLED))
		judgement->retry_after_ms = wait_ms;
	if (*reason != '\0')
		provider_copy_text(judgement->reason, sizeof(judgement->reason), reason);
	else
		snprintf(judgement->reason, sizeof(judgement->reason), "status-%u", answer->status);
}

bool provider_collapse(const struct provider_message *message, char text[COLLAPSE_TEXT])
{
	const struct notification *notification = message->notification;
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (message->priority != PRIORITY_LOW || message->node == NULL ||
	    notification->payload != NULL || notification->action != NULL ||
	    notification->meet_id != NULL || notification->inviter != NULL ||
	    notification->account_removed)
		return false;
	if (EVP_Digest(message->node, strlen(message->node), digest, NULL, EVP_sha256(), NULL) != 1)
		abort();
	for (size_t i = 0; i < (COLLAPSE_TEXT - 1) / 2; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return true;
}

void provider_copy_text(char *to, size_t size, const char *from)
{
	size_t len = 0;

	for (; from != NULL && from[len] > ' ' && from[len] <= '~' && len + 1 < size; len++)
		to[len] = from[len];
	to[len] = '\0';
}

int64_t provider_retry_after_ms(const char *header)
{
	char *end;
	long seconds;

	if (header == NULL)
		return 0;
	seconds = strtol(header, &end, 10);
	if (end == header || *end != '\0' || seconds <= 0 || seconds > 86400)
		return 0;
	return seconds * 1000;
}

/* Where CHARACTERS characters of UTF-8 end in TEXT, or its end. */
static const char *after_characters(const char *text, size_t characters)
{
	while (*text != '\0' && characters > 0) {
		do
			text++;
		while ((*text & 0xc0) == 0x80);
		characters--;
	}
	return text;
}

const char *provider_short_body(const char *body, struct arena *arena)
{
	const char *kept = after_characters(body, BODY_KEPT);

	if (*after_characters(kept, BODY_LONG - BODY_KEPT) == '\0')
		return body;
	return provider_print(arena, "%.*s...", (int)(kept - body), body);
}

char *provider_print(struct arena *arena, const char *format, ...)
{
	char usual[PRINT_USUAL], *text;
	va_list args, again;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(usual, sizeof(usual), format, args);
	assert(len >= 0);
	if ((size_t)len < sizeof(usual)) {
		text = arena_dup(arena, usual, (size_t)len);
	} else {
		text = arena_alloc(arena, (size_t)len + 1);
		vsnprintf(text, (size_t)len + 1, format, again);
	}
	va_end(again);
	va_end(args);
	return text;
}

static void prepare(struct json_text *out, size_t size, struct arena *arena)
{
	*out = (struct json_text){ .bytes = arena_alloc(arena, size), .size = size };
	assert(out->bytes != NULL);
}

void provider_write(struct provider_request *request, const struct provider_message *message,
                    provider_writer *write)
{
	struct json_text out;

	prepare(&out, BODY_USUAL, message->arena);
	write(&out, message, request->cut);
	if (out.len > out.size) {
		prepare(&out, out.len, message->arena);
		write(&out, message, request->cut);
	}
	request->body = out.bytes;
	request->body_len = out.len;
}
