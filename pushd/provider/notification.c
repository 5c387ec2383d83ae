#include "pushd/provider/notification.h"

#include <string.h>

#define JID_MAX 3071 /* RFC 7622, section 3.1: three parts of 1023 bytes, with "@" and "/" */
#define NAME_MAX_BYTES 1023
#define NODE_MAX 512 /* bytes: our nodes have 32, a token that serves as a node at most these */
#define SECRET_MAX 128
#define MODULE_MAX 128
#define TEXT_MAX 65536 /* bytes of a body, which each provider then shortens to its own limit */
#define MEDIA_MAX 8
#define COUNT_MAX 1000000000

const char *const priority_names[PRIORITY_COUNT] = { "voip", "high", "low" };

static void read_summary(struct notification *notification, struct json_object *item)
{
	struct json_object summary = json_object_member(item, "summary", false);

	if (summary.value == NULL)
		return;
	notification->summary = true;
	notification->count =
	        json_integer_member(&summary, "count", 0, COUNT_MAX, NOTIFICATION_ABSENT);
	notification->pending = json_integer_member(&summary, "pending_subscriptions", 0, COUNT_MAX,
	                                            NOTIFICATION_ABSENT);
	notification->sender = json_string_member(&summary, "sender", JID_MAX, false);
	notification->body = json_string_member(&summary, "body", TEXT_MAX, false);
	notification->inviter = json_string_member(&summary, "subscription_sender", JID_MAX, false);
	json_object_end(&summary);
}

static void read_requested(struct notification *notification, struct json_object *item)
{
	const char *requested = json_string_member(item, "priority", 8, false);

	if (requested == NULL)
		notification->requested = REQUESTED_NONE;
	else if (strcmp(requested, "high") == 0)
		notification->requested = REQUESTED_HIGH;
	else if (strcmp(requested, "low") == 0)
		notification->requested = REQUESTED_LOW;
	else
		json_complain(item, "priority", "must be high or low");
}

static void read_encrypted(struct notification *notification, struct json_object *item)
{
	struct json_object encrypted = json_object_member(item, "encrypted", false);

	if (encrypted.value == NULL)
		return;
	notification->iv = json_string_member(&encrypted, "iv", 256, true);
	notification->payload = json_string_member(&encrypted, "payload", TEXT_MAX, true);
	notification->voip = json_boolean_member(&encrypted, "voip", false);
	json_object_end(&encrypted);
}

static const json_t *read_media(struct json_object *call)
{
	size_t count = json_array_count(call, "media", MEDIA_MAX, false);

	for (size_t i = 0; i < count; i++)
		json_array_string(call, "media", i, 64);
	return count > 0 && call->value != NULL ? json_object_get(call->value, "media") : NULL;
}

static void read_calls(struct notification *notification, struct json_object *item)
{
	struct json_object jingle = json_object_member(item, "jingle", false);
	struct json_object meet = json_object_member(item, "meet", false);

	if (jingle.value != NULL) {
		notification->action = json_string_member(&jingle, "action", 64, true);
		notification->sid = json_string_member(&jingle, "sid", NAME_MAX_BYTES, true);
		notification->media = read_media(&jingle);
		json_object_end(&jingle);
	}
	if (meet.value != NULL) {
		notification->meet_id = json_string_member(&meet, "id", NAME_MAX_BYTES, true);
		notification->meet_jid = json_string_member(&meet, "jid", JID_MAX, true);
		notification->media = read_media(&meet);
		json_object_end(&meet);
	}
}

void notification_read(struct notification *notification, struct json_object *item)
{
	*notification = (struct notification){ .count = NOTIFICATION_ABSENT,
		                               .pending = NOTIFICATION_ABSENT };
	notification->component = json_string_member(item, "component", NAME_MAX_BYTES, true);
	notification->domain = json_string_member(item, "domain", NAME_MAX_BYTES, true);
	notification->node = json_string_member(item, "node", NODE_MAX, true);
	notification->secret = json_string_member(item, "secret", SECRET_MAX, false);
	notification->module = json_string_member(item, "module", MODULE_MAX, false);
	read_summary(notification, item);
	read_requested(notification, item);
	read_encrypted(notification, item);
	notification->nickname = json_string_member(item, "nickname", NAME_MAX_BYTES, false);
	read_calls(notification, item);
	notification->account_removed = json_boolean_member(item, "account_removed", false);
	json_object_end(item);
}

/* True when it says nothing at all: no summary form and no extension. */
static bool is_empty(const struct notification *notification)
{
	return !notification->summary && notification->payload == NULL &&
	       notification->nickname == NULL && notification->action == NULL &&
	       notification->meet_id == NULL && !notification->account_removed;
}

static bool has_text(const char *text)
{
	return text != NULL && *text != '\0';
}

enum priority notification_priority(const struct notification *notification, enum priority empty)
{
	if (notification->requested != REQUESTED_NONE)
		return notification->requested == REQUESTED_HIGH ? PRIORITY_HIGH : PRIORITY_LOW;
	if (has_text(notification->payload) || has_text(notification->body) ||
	    notification->meet_id != NULL)
		return PRIORITY_HIGH;
	if (notification->action != NULL && strcmp(notification->action, "propose") == 0)
		return PRIORITY_HIGH;
	return is_empty(notification) ? empty : PRIORITY_LOW;
}

bool notification_is_call(const struct notification *notification, enum priority priority)
{
	return notification->payload != NULL && notification->voip && priority == PRIORITY_HIGH;
}
