#include "pushd/provider/payload.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/panic.h"
#include "common/text/hex.h"

#define BODY_LONG 512 /* characters; what Tigase's component did, and clients expect */
#define BODY_KEPT 500
/* Sizes that are enough for nearly every payload and text: what fits is formatted once. */
#define PAYLOAD_USUAL 1024
#define PRINT_USUAL 512

char *payload_print(struct arena *arena, const char *format, ...)
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

/* ---- what the app is told ---- */

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

/*
 * BODY cut to 500 characters with "..." behind it if it has more than 512, into ARENA; else BODY
 * itself.
 */
static const char *short_body(const char *body, struct arena *arena)
{
	const char *kept = after_characters(body, BODY_KEPT);

	if (*after_characters(kept, BODY_LONG - BODY_KEPT) == '\0')
		return body;
	return payload_print(arena, "%.*s...", (int)(kept - body), body);
}

/* The list as it grows. */
struct content {
	struct payload_item *items;
	size_t count;
};

static void add(struct content *content, const struct payload_item *item)
{
	assert(content->count < PAYLOAD_ITEMS_MAX);
	content->items[content->count++] = *item;
}

static void add_text(struct content *content, const char *key, const char *text)
{
	if (text != NULL && *text != '\0')
		add(content, &(struct payload_item){ key, text, 0 });
}

static void add_number(struct content *content, const char *key, int64_t number)
{
	if (number != NOTIFICATION_ABSENT)
		add(content, &(struct payload_item){ key, NULL, number });
}

/* "audio,video"; NULL for none. */
static const char *join_media(const json_t *media, struct arena *arena)
{
	const char *text = NULL;
	const json_t *name;
	size_t i;

	json_array_foreach (media, i, name)
		text = text == NULL ? json_string_value(name)
		                    : payload_print(arena, "%s,%s", text, json_string_value(name));
	return text;
}

static void add_call(struct content *content, const struct notification *notification,
                     struct arena *arena)
{
	if (notification->action == NULL && notification->meet_id == NULL)
		return;
	add_text(content, "type", notification->meet_id != NULL ? "meet" : "call");
	add_text(content, "action", notification->action);
	add_text(content, "sid",
	         notification->meet_id != NULL ? notification->meet_id : notification->sid);
	add_text(content, "jid", notification->meet_jid);
	add_text(content, "media", join_media(notification->media, arena));
}

static void add_plain(struct content *content, const struct notification *notification,
                      bool with_body, struct arena *arena)
{
	add_text(content, "sender", notification->sender);
	if (with_body && notification->body != NULL)
		add_text(content, "body", short_body(notification->body, arena));
	add_text(content, "nickname", notification->nickname);
	add_number(content, "pending-subscription-count", notification->pending);
	add_text(content, "last-subscription-sender", notification->inviter);
	add_call(content, notification, arena);
	if (notification->account_removed)
		add_text(content, "event", "account-removed");
}

size_t payload_list(const struct provider_message *message, enum provider_cut cut,
                    struct payload_item items[PAYLOAD_ITEMS_MAX])
{
	const struct notification *notification = message->notification;
	struct content content = { items, 0 };

	add_text(&content, "account", message->account);
	add_text(&content, "channel", message->channel);
	if (notification->payload != NULL && cut == CUT_NOTHING) {
		add_text(&content, "encrypted", notification->payload);
		add_text(&content, "iv", notification->iv);
		return content.count;
	}
	if (message->content == CONF_CONTENT_NONE) {
		/* By 0 the app takes its notifications back. */
		if (notification->count == 0)
			add_number(&content, "unread-messages", 0);
		return content.count;
	}
	add_number(&content, "unread-messages", notification->count);
	if (notification->payload == NULL && cut != CUT_ALL)
		add_plain(&content, notification,
		          cut == CUT_NOTHING && message->content == CONF_CONTENT_FULL,
		          message->arena);
	return content.count;
}

/* ---- the request ---- */

bool payload_collapse(const struct provider_message *message, char text[PAYLOAD_COLLAPSE_TEXT])
{
	const struct notification *notification = message->notification;
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (message->priority != PRIORITY_LOW || message->node == NULL ||
	    notification->payload != NULL || notification->action != NULL ||
	    notification->meet_id != NULL || notification->inviter != NULL ||
	    notification->account_removed)
		return false;
	if (EVP_Digest(message->node, strlen(message->node), digest, NULL, EVP_sha256(), NULL) != 1)
		panic("the digest of a node");
	hex_write(text, digest, (PAYLOAD_COLLAPSE_TEXT - 1) / 2);
	return true;
}

static void prepare(struct json_text *out, size_t size, struct arena *arena)
{
	*out = (struct json_text){ .bytes = arena_alloc(arena, size), .size = size };
	assert(out->bytes != NULL);
}

void payload_write(struct provider_request *request, const struct provider_message *message,
                   payload_writer *write)
{
	struct json_text out;

	prepare(&out, PAYLOAD_USUAL, message->arena);
	write(&out, message, request->cut);
	if (out.len > out.size) {
		prepare(&out, out.len, message->arena);
		write(&out, message, request->cut);
	}
	request->body = out.bytes;
	request->body_len = out.len;
}
