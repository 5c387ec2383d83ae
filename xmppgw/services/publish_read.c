#include "xmppgw/services/publish_read.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

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

static int append(const char *bytes, size_t len, void *buf)
{
	return buf_append(buf, bytes, len);
}

/* Sets KEY unless VALUE is absent, empty or longer than MOST. Returns whether it was set. */
static bool set_text(json_t *object, const char *key, const char *value, size_t most)
{
	size_t len = value == NULL ? 0 : strlen(value);

	if (len == 0 || len > most)
		return false;
	return json_object_set_new_nocheck(object, key, json_stringn_nocheck(value, len)) == 0;
}

static void set_count(json_t *object, const char *key, const char *value)
{
	char *end;
	long long count;

	if (value == NULL || value[0] < '0' || value[0] > '9')
		return;
	count = strtoll(value, &end, 10);
	if (*end == '\0' && count <= COUNT_MAX)
		json_object_set_new_nocheck(object, key, json_integer(count));
}

static void set_body(json_t *object, const char *body)
{
	size_t len = body == NULL ? 0 : strlen(body);

	if (len > BODY_MAX) {
		len = BODY_MAX;
		while (((unsigned char)body[len] & 0xc0) == 0x80) /* between two characters */
			len--;
	}
	if (len > 0)
		json_object_set_new_nocheck(object, "body", json_stringn_nocheck(body, len));
}

/* MongooseIM's hint of a call invite (XEP-0353): its action and session, but no media. */
static void add_call_hint(json_t *item, const struct xml *form)
{
	json_t *voip = json_object();

	if (set_text(voip, "action", form_value(form, "jingle-message"), ACTION_MAX) &&
	    set_text(voip, "sid", form_value(form, "jingle-session-id"), NAME_MAX_BYTES))
		json_object_set_nocheck(item, "jingle", voip);
	json_decref(voip);
}

/* The summary form, of any type; some servers leave its FORM_TYPE out. */
static void add_summary(json_t *item, const struct xml *form)
{
	json_t *summary = json_object();

	set_count(summary, "count", form_value(form, "message-count"));
	if (!set_text(summary, "sender", form_value(form, "last-message-sender"), JID_MAX))
		set_text(summary, "sender", form_value(form, "message-sender"), JID_MAX);
	set_body(summary, form_value(form, "last-message-body"));
	set_count(summary, "pending_subscriptions", form_value(form, "pending-subscription-count"));
	set_text(summary, "subscription_sender", form_value(form, "last-subscription-sender"),
	         JID_MAX);
	json_object_set_new_nocheck(item, "summary", summary);
	add_call_hint(item, form);
}

static void add_priority(json_t *item, const struct xml *priority)
{
	set_text(item, "priority", strcmp(priority->text, "high") == 0 ? "high" : "low", 4);
}

static void add_encrypted(json_t *item, const struct xml *encrypted)
{
	const char *type = xml_attribute(encrypted, "type");
	json_t *object = json_object();

	json_object_set_new_nocheck(object, "voip",
	                            json_boolean(type != NULL && strcmp(type, "voip") == 0));
	if (set_text(object, "iv", xml_attribute(encrypted, "iv"), IV_MAX) &&
	    set_text(object, "payload", encrypted->text, PAYLOAD_MAX))
		json_object_set_nocheck(item, "encrypted", object);
	json_decref(object);
}

static void add_media(json_t *voip, const struct xml *element)
{
	const struct xml *media = xml_child(element, element->ns, "media");
	json_t *names = json_array();

	for (; media != NULL && json_array_size(names) < MEDIA_MAX; media = xml_again(media))
		if (media->text[0] != '\0' && strlen(media->text) <= ACTION_MAX)
			json_array_append_new(names, json_string_nocheck(media->text));
	json_object_set_new_nocheck(voip, "media", names);
}

static void add_jingle(json_t *item, const struct xml *jingle)
{
	json_t *voip = json_object();

	add_media(voip, jingle);
	if (set_text(voip, "action", xml_attribute(jingle, "action"), ACTION_MAX) &&
	    set_text(voip, "sid", xml_attribute(jingle, "sid"), NAME_MAX_BYTES))
		json_object_set_nocheck(item, "jingle", voip);
	json_decref(voip);
}

static void add_meet(json_t *item, const struct xml *meet)
{
	json_t *voip = json_object();

	add_media(voip, meet);
	if (set_text(voip, "id", xml_attribute(meet, "id"), NAME_MAX_BYTES) &&
	    set_text(voip, "jid", xml_attribute(meet, "jid"), JID_MAX))
		json_object_set_nocheck(item, "meet", voip);
	json_decref(voip);
}

static void add_groupchat(json_t *item, const struct xml *groupchat)
{
	const struct xml *nickname = xml_child(groupchat, GROUPCHAT_NS, "nickname");

	if (nickname != NULL)
		set_text(item, "nickname", nickname->text, NAME_MAX_BYTES);
}

static void add_event(json_t *item, const struct xml *event)
{
	const char *name = xml_attribute(event, "name");

	if (name != NULL && strcmp(name, "account-removed") == 0)
		json_object_set_new_nocheck(item, "account_removed", json_true());
}

/* The children of <notification/> that are read, each at most once. */
/* clang-format off */
static const struct {
	const char *ns;
	const char *name;
	void (*add)(json_t *item, const struct xml *element);
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

/* One <item/>; false if it is no notification. */
static bool add_item(struct publish *publish, const struct xml *item, json_t *common)
{
	const struct xml *notification = xml_child(item, PUSH_NS, "notification");
	json_t *object;

	if (notification == NULL)
		return false;
	object = json_copy(common);
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const struct xml *element = xml_child(notification, members[i].ns, members[i].name);

		if (element != NULL)
			members[i].add(object, element);
	}
	if (publish->count++ > 0)
		buf_text(&publish->json, ",");
	json_dump_callback(object, append, &publish->json, JSON_COMPACT);
	json_decref(object);
	return true;
}

/* Reads all items, or says what is wrong with them. */
static const char *add_items(struct publish *publish, const struct xml *element, json_t *common)
{
	const struct xml *item = xml_child(element, PUBSUB_NS, "item");

	if (item == NULL)
		return "no item";
	for (; item != NULL; item = xml_again(item)) {
		if (publish->count == PUBLISH_ITEMS_MAX)
			return "too many items";
		if (!add_item(publish, item, common))
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

/* Reads the items of ELEMENT, each with what is common to all. */
static enum publish_verdict read_items(struct publish *publish, const struct xml *element,
                                       json_t *common)
{
	const char *why;

	set_text(common, "node", publish->node, PUBLISH_NODE_MAX);
	why = add_items(publish, element, common);
	return why == NULL ? PUBLISH_READ : malformed(publish, why);
}

enum publish_verdict publish_read(const struct xml *pubsub, const char *from, const char *component,
                                  struct publish *publish)
{
	const struct xml *element = xml_child(pubsub, PUBSUB_NS, "publish");
	const struct xml *options = find_options(pubsub);
	const char *secret = form_value(options, "secret");
	enum publish_verdict verdict;
	struct jid server;
	json_t *common;

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
	common = json_object();
	set_text(common, "component", component, NAME_MAX_BYTES);
	set_text(common, "domain", server.domain, NAME_MAX_BYTES);
	set_text(common, "secret", secret, SECRET_MAX);
	set_text(common, "module", form_value(options, "pushModule"), MODULE_MAX);
	verdict = read_items(publish, element, common);
	json_decref(common);
	return verdict;
}
