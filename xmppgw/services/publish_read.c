#include "xmppgw/services/publish_read.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json_text.h"
#include "common/base/mem.h"
#include "common/text/jid.h"
#include "xmppgw/xmpp/form.h"

#define PRIORITY_NS "tigase:push:priority:0"
#define ENCRYPT_NS "tigase:push:encrypt:0"
#define JINGLE_NS "tigase:push:jingle:0"
#define MEET_NS "tigase:push:meet:0"
#define GROUPCHAT_NS "http://tigase.org/protocol/muc#offline"
#define EVENT_NS "http://tigase.org/protocol/account#event"

/* Limits of pushd's API, in bytes. A longer text is left out, a longer body is cut. */
#define SECRET_MAX 128
#define MODULE_MAX 128
#define BODY_MAX 8192 /* providers take 4 KiB in all */
#define PAYLOAD_MAX 16384
#define IV_MAX 256
#define JID_MAX (JID_TEXT_MAX - 1)
#define NAME_MAX_BYTES 1023
#define ACTION_MAX 64
#define MEDIA_MAX 8
#define COUNT_MAX 1000000000

/*
 * All that one notification can be: the limits above, each byte escaped as six, and the keys. It is
 * written as text, since servers publish by the thousand.
 */
#define ITEM_MAX (256 * 1024)
static char item_bytes[ITEM_MAX];

/* Begins a member KEY of the object that OUT is in; KEY NULL: an element of the array. */
static void add_key(struct json_text *out, const char *key)
{
	char last = out->bytes[out->len - 1];

	if (last != '{' && last != '[')
		json_text_add(out, ",");
	if (key == NULL)
		return;
	json_text_string(out, key);
	json_text_add(out, ":");
}

/* True unless TEXT is absent, empty or longer than MOST. */
static bool fits(const char *text, size_t most)
{
	return text != NULL && text[0] != '\0' && strlen(text) <= most;
}

/* Adds KEY if TEXT fits. Returns whether it does. */
static bool add_text(struct json_text *out, const char *key, const char *text, size_t most)
{
	if (!fits(text, most))
		return false;
	add_key(out, key);
	json_text_string(out, text);
	return true;
}

/* Adds KEY with the JSON text VALUE. */
static void add_value(struct json_text *out, const char *key, const char *value)
{
	add_key(out, key);
	json_text_add(out, value);
}

static void add_count(struct json_text *out, const char *key, const char *text)
{
	char *end;
	long long count;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return;
	count = strtoll(text, &end, 10);
	if (*end != '\0' || count > COUNT_MAX)
		return;
	add_key(out, key);
	json_text_integer(out, count);
}

/* A body that is too long is cut between two characters. */
static void add_body(struct json_text *out, const char *body)
{
	size_t len = BODY_MAX;
	char *cut;

	if (body == NULL || strlen(body) <= BODY_MAX) {
		add_text(out, "body", body, BODY_MAX);
		return;
	}
	while (((unsigned char)body[len] & 0xc0) == 0x80)
		len--;
	cut = mem_dup_bytes(body, len);
	add_text(out, "body", cut, BODY_MAX);
	free(cut);
}

/* The media of the call ELEMENT. */
static void add_media(struct json_text *out, const struct xml *element)
{
	const struct xml *media = xml_child(element, element->ns, "media");
	unsigned count = 0;

	add_value(out, "media", "[");
	for (; media != NULL && count < MEDIA_MAX; media = xml_again(media))
		count += add_text(out, NULL, media->text, ACTION_MAX);
	json_text_add(out, "]");
}

/* MongooseIM's hint of a call invite (XEP-0353): its action and session, but no media. */
static void add_call_hint(struct json_text *out, const struct xml *form)
{
	const char *action = form_value(form, "jingle-message");
	const char *sid = form_value(form, "jingle-session-id");

	if (!fits(action, ACTION_MAX) || !fits(sid, NAME_MAX_BYTES))
		return;
	add_value(out, "jingle", "{");
	add_text(out, "action", action, ACTION_MAX);
	add_text(out, "sid", sid, NAME_MAX_BYTES);
	json_text_add(out, "}");
}

/* The summary form, of any type; some servers leave its FORM_TYPE out. */
static void add_summary(struct json_text *out, const struct xml *form)
{
	add_value(out, "summary", "{");
	add_count(out, "count", form_value(form, "message-count"));
	if (!add_text(out, "sender", form_value(form, "last-message-sender"), JID_MAX))
		add_text(out, "sender", form_value(form, "message-sender"), JID_MAX);
	add_body(out, form_value(form, "last-message-body"));
	add_count(out, "pending_subscriptions", form_value(form, "pending-subscription-count"));
	add_text(out, "subscription_sender", form_value(form, "last-subscription-sender"), JID_MAX);
	json_text_add(out, "}");
	if (xml_child(form->parent, JINGLE_NS, "jingle") == NULL)
		add_call_hint(out, form);
}

static void add_priority(struct json_text *out, const struct xml *priority)
{
	add_text(out, "priority", strcmp(priority->text, "high") == 0 ? "high" : "low", 4);
}

static void add_encrypted(struct json_text *out, const struct xml *encrypted)
{
	const char *type = xml_attribute(encrypted, "type"), *iv = xml_attribute(encrypted, "iv");
	bool voip = type != NULL && strcmp(type, "voip") == 0;

	if (!fits(iv, IV_MAX) || !fits(encrypted->text, PAYLOAD_MAX))
		return;
	add_value(out, "encrypted", "{");
	add_value(out, "voip", voip ? "true" : "false");
	add_text(out, "iv", iv, IV_MAX);
	add_text(out, "payload", encrypted->text, PAYLOAD_MAX);
	json_text_add(out, "}");
}

static void add_jingle(struct json_text *out, const struct xml *jingle)
{
	const char *action = xml_attribute(jingle, "action"), *sid = xml_attribute(jingle, "sid");

	if (!fits(action, ACTION_MAX) || !fits(sid, NAME_MAX_BYTES))
		return;
	add_value(out, "jingle", "{");
	add_media(out, jingle);
	add_text(out, "action", action, ACTION_MAX);
	add_text(out, "sid", sid, NAME_MAX_BYTES);
	json_text_add(out, "}");
}

static void add_meet(struct json_text *out, const struct xml *meet)
{
	const char *id = xml_attribute(meet, "id"), *jid = xml_attribute(meet, "jid");

	if (!fits(id, NAME_MAX_BYTES) || !fits(jid, JID_MAX))
		return;
	add_value(out, "meet", "{");
	add_media(out, meet);
	add_text(out, "id", id, NAME_MAX_BYTES);
	add_text(out, "jid", jid, JID_MAX);
	json_text_add(out, "}");
}

static void add_groupchat(struct json_text *out, const struct xml *groupchat)
{
	const struct xml *nickname = xml_child(groupchat, GROUPCHAT_NS, "nickname");

	if (nickname != NULL)
		add_text(out, "nickname", nickname->text, NAME_MAX_BYTES);
}

static void add_event(struct json_text *out, const struct xml *event)
{
	const char *name = xml_attribute(event, "name");

	if (name != NULL && strcmp(name, "account-removed") == 0)
		add_value(out, "account_removed", "true");
}

/* The children of <notification/> that are read, each at most once. */
/* clang-format off */
static const struct {
	const char *ns;
	const char *name;
	void (*add)(struct json_text *out, const struct xml *element);
} members[] = {
	{ FORM_NS, "x", add_summary },
	{ PRIORITY_NS, "priority", add_priority },
	{ ENCRYPT_NS, "encrypted", add_encrypted },
	{ JINGLE_NS, "jingle", add_jingle },
	{ MEET_NS, "meet", add_meet },
	{ GROUPCHAT_NS, "groupchat", add_groupchat },
	{ EVENT_NS, "event", add_event },
};
/* clang-format on */

/* ---- the publish ---- */

/* One <item/>, behind what OUT has for all of them; false if it is no notification. */
static bool add_item(struct publish *publish, const struct xml *item, struct json_text out)
{
	const struct xml *notification = xml_child(item, PUSH_NS, "notification");

	if (notification == NULL)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const struct xml *element = xml_child(notification, members[i].ns, members[i].name);

		if (element != NULL)
			members[i].add(&out, element);
	}
	json_text_add(&out, "}");
	assert(out.len <= out.size);
	if (publish->count++ > 0)
		buf_text(&publish->json, ",");
	buf_append(&publish->json, out.bytes, out.len);
	return true;
}

/* Reads all items, or says what is wrong with them. */
static const char *add_items(struct publish *publish, const struct xml *element,
                             const struct json_text *common)
{
	const struct xml *item = xml_child(element, PUBSUB_NS, "item");

	if (item == NULL)
		return "no item";
	for (; item != NULL; item = xml_again(item)) {
		if (publish->count == PUBLISH_ITEMS_MAX)
			return "too many items";
		if (!add_item(publish, item, *common))
			return "an item without a notification";
	}
	return NULL;
}

/* The form of the publish-options (XEP-0357 7), which isn't checked; or NULL. */
static const struct xml *find_options(const struct xml *pubsub)
{
	return form_find(xml_child(pubsub, PUBSUB_NS, "publish-options"));
}

bool publish_from_client(const char *from)
{
	struct jid jid;

	return jid_parse(from, &jid) == 0 && jid.local[0] != '\0' && jid.resource[0] != '\0';
}

/* A server publishes as its domain. */
static bool is_server(const char *from, struct jid *jid)
{
	return jid_parse(from, jid) == 0 && jid->local[0] == '\0' && jid->resource[0] == '\0';
}

static enum publish_verdict malformed(struct publish *publish, const char *why)
{
	publish->why = why;
	return PUBLISH_MALFORMED;
}

enum publish_verdict publish_read(const struct xml *pubsub, const char *from, const char *component,
                                  struct publish *publish)
{
	const struct xml *element = xml_child(pubsub, PUBSUB_NS, "publish");
	const struct xml *options = find_options(pubsub);
	const char *secret = form_value(options, "secret"), *why;
	struct json_text common = { .bytes = item_bytes, .size = sizeof(item_bytes) };
	struct jid server;

	publish->node = xml_attribute(element, "node");
	publish->count = 0;
	if (publish_from_client(from))
		return PUBLISH_UNKNOWN;
	if (!is_server(from, &server))
		return malformed(publish, "not from a server's domain");
	if (publish->node == NULL || publish->node[0] == '\0')
		return malformed(publish, "no node");
	if (strlen(publish->node) > PUBLISH_NODE_MAX ||
	    (secret != NULL && strlen(secret) > SECRET_MAX))
		return PUBLISH_UNKNOWN;
	json_text_add(&common, "{");
	add_text(&common, "component", component, NAME_MAX_BYTES);
	add_text(&common, "domain", server.domain, NAME_MAX_BYTES);
	add_text(&common, "node", publish->node, PUBLISH_NODE_MAX);
	add_text(&common, "secret", secret, SECRET_MAX);
	add_text(&common, "module", form_value(options, "pushModule"), MODULE_MAX);
	why = add_items(publish, element, &common);
	return why == NULL ? PUBLISH_READ : malformed(publish, why);
}
