#include "pushd/provider/content.h"

#include <assert.h>
#include <string.h>

struct content {
	struct content_item *items;
	size_t count;
};

static void add(struct content *content, const struct content_item *item)
{
	assert(content->count < CONTENT_MAX);
	content->items[content->count++] = *item;
}

static void add_text(struct content *content, const char *key, const char *text)
{
	if (text != NULL && *text != '\0')
		add(content, &(struct content_item){ key, text, 0 });
}

static void add_number(struct content *content, const char *key, int64_t number)
{
	if (number != NOTIFICATION_ABSENT)
		add(content, &(struct content_item){ key, NULL, number });
}

/* "audio,video"; NULL for none. */
static const char *join_media(const json_t *media, struct arena *arena)
{
	const char *text = NULL;
	const json_t *name;
	size_t i;

	json_array_foreach (media, i, name)
		text = text == NULL ? json_string_value(name)
		                    : provider_print(arena, "%s,%s", text, json_string_value(name));
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
                      enum provider_cut cut, struct arena *arena)
{
	if (cut == CUT_ALL)
		return;
	add_text(content, "sender", notification->sender);
	if (cut == CUT_NOTHING && notification->body != NULL)
		add_text(content, "body", provider_short_body(notification->body, arena));
	add_text(content, "nickname", notification->nickname);
	add_number(content, "pending-subscription-count", notification->pending);
	add_text(content, "last-subscription-sender", notification->inviter);
	add_call(content, notification, arena);
	if (notification->account_removed)
		add_text(content, "event", "account-removed");
}

size_t content_list(const struct provider_message *message, enum provider_cut cut,
                    struct content_item items[CONTENT_MAX])
{
	const struct notification *notification = message->notification;
	struct content content = { items, 0 };

	add_text(&content, "account", message->account);
	if (message->terse)
		return content.count;
	if (notification->payload != NULL && cut == CUT_NOTHING) {
		add_text(&content, "encrypted", notification->payload);
		add_text(&content, "iv", notification->iv);
		return content.count;
	}
	add_number(&content, "unread-messages", notification->count);
	if (notification->payload == NULL)
		add_plain(&content, notification, cut, message->arena);
	return content.count;
}
