#include "xmppgw/events/event.h"

#include <stdio.h>
#include <string.h>

#include "common/base/json.h"
#include "xmppgw/xmpp/limit_notice.h"
#include "xmppgw/xmpp/markup.h"

#define PUBSUB_NS "http://jabber.org/protocol/pubsub"
#define KIND_MAX 64
#define JID_MAX (JID_TEXT_MAX - 1)

static void read_jid(struct json_object *top, const char *key, struct jid *jid)
{
	const char *text = json_string_member(top, key, JID_MAX, true);

	if (text != NULL && jid_parse(text, jid) != 0)
		json_complain(top, key, "must be a JID");
}

/* Reads the text for people, the member KEY. */
static enum event_verdict read_reason(struct json_object *top, const char *key, struct event *event)
{
	const char *reason = json_string_member(top, key, EVENT_REASON_MAX, true);

	if (!json_reader_ok(top->reader))
		return EVENT_MALFORMED;
	snprintf(event->reason, sizeof(event->reason), "%s", reason);
	return EVENT_READ;
}

static enum event_verdict read_over_limit(struct json_object *top, struct event *event)
{
	const char *explanation = json_string_member(top, "explanation", EVENT_REASON_MAX, false);

	event->kind = EVENT_OVER_LIMIT;
	snprintf(event->explanation, sizeof(event->explanation), "%s",
	         explanation == NULL ? "" : explanation);
	read_jid(top, "requester", &event->requester);
	read_jid(top, "target", &event->target);
	return read_reason(top, "reason", event);
}

static enum event_verdict read_gone(struct json_object *top, struct event *event)
{
	const char *node = json_string_member(top, "node", EVENT_REASON_MAX, true);

	event->kind = EVENT_DEVICE_GONE;
	read_jid(top, "owner", &event->requester);
	if (!json_reader_ok(top->reader))
		return EVENT_MALFORMED;
	snprintf(event->reason, sizeof(event->reason), "%s", node);
	return EVENT_READ;
}

static enum event_verdict read_notice(struct json_object *top, enum event_kind kind,
                                      struct event *event)
{
	event->kind = kind;
	event->at_ms = json_integer_member(top, "at_ms", 0, INT64_MAX, 0);
	return read_reason(top, "text", event);
}

static enum event_verdict read_object(struct json_object *top, const char *component,
                                      struct event *event)
{
	const char *kind = json_string_member(top, "type", KIND_MAX, true);
	const char *owner;

	if (kind != NULL && strcmp(kind, "credential-expiry") == 0)
		return read_notice(top, EVENT_CREDENTIAL_EXPIRY, event);
	if (kind != NULL && strcmp(kind, "storage-filling") == 0)
		return read_notice(top, EVENT_STORAGE_FILLING, event);
	owner = json_string_member(top, "component", JID_PART_MAX, true);
	if (!json_reader_ok(top->reader))
		return EVENT_MALFORMED;
	if (strcmp(owner, component) != 0)
		return EVENT_FOREIGN;
	if (strcmp(kind, "device-gone") == 0)
		return read_gone(top, event);
	return strcmp(kind, "over-limit") == 0 ? read_over_limit(top, event) : EVENT_FOREIGN;
}

enum event_verdict event_read(const char *text, size_t len, const char *component,
                              struct event *event, char *complaint)
{
	struct json_reader reader;
	json_t *value = json_loadb(text, len, 0, NULL);
	struct json_object top = json_object_top(&reader, value);
	enum event_verdict verdict = read_object(&top, component, event);

	snprintf(complaint, sizeof(reader.complaint), "%s", reader.complaint);
	json_decref(value);
	return verdict;
}

void event_write(const struct event *event, const char *component, const char *id, const char *to,
                 struct buf *out)
{
	switch (event->kind) {
	case EVENT_OVER_LIMIT:
		break;
	case EVENT_DEVICE_GONE: /* XEP-0357 8 */
		markup_add(out,
		           "<message id='%s' from='%s' to='%s'><pubsub xmlns='" PUBSUB_NS
		           "' node='%s'><affiliation jid='%s' affiliation='none'/></pubsub>"
		           "</message>",
		           id, component, to, event->reason, to);
		break;
	case EVENT_CREDENTIAL_EXPIRY:
	case EVENT_STORAGE_FILLING:
		markup_add(out,
		           "<message id='%s' from='%s' to='%s'><subject>%s</subject><body>%s</body>"
		           "</message>",
		           id, component, to,
		           event->kind == EVENT_STORAGE_FILLING ? "Redis is nearly full"
		                                                : "A push credential expires",
		           event->reason);
		break;
	}
}

void event_write_over_limit(const struct event *event, const char *component, const char *id,
                            bool as_error, struct buf *out)
{
	const struct jid *parties[] = { &event->requester, &event->target };
	char to[JID_TEXT_MAX], other[JID_TEXT_MAX];

	for (int i = 0; i < 2; i++) {
		const struct limit_notice notice = {
			.component = component,
			.id = id,
			.to = jid_full(parties[i], to),
			.other = jid_bare(parties[!i], other),
			.reason = event->reason,
			.explanation = event->explanation[0] != '\0' ? event->explanation : NULL,
			.stopped = true,
		};

		if (as_error)
			limit_notice_error(&notice, out);
		else
			limit_notice_headline(&notice, out);
	}
}
