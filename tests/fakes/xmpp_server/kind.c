#include "tests/fakes/xmpp_server/kind.h"

#include <string.h>

#define IQ_PUBLISH(head, content)                                                                  \
	"<iq " head "><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'>"   \
	"<item>" content "</item></publish>{options}</pubsub></iq>"
#define NOTIFICATION(content) "<notification xmlns='urn:xmpp:push:0'>" content "</notification>"
#define SUMMARY "<value>urn:xmpp:push:summary</value></field>"
#define OPTIONS "<value>http://jabber.org/protocol/pubsub#publish-options</value></field>"
#define FORM_FIELD(name, value) "<field var='" name "'><value>" value "</value></field>"

/* ---- Prosody: mod_cloud_notify ---- */

#define PROSODY_HEAD "id='{id}' to='{to}' from='{from}' type='set'"
#define PROSODY_FIELD(name, type, content)                                                         \
	"<field var='" name "' type='" type "'>" content "</field>"
#define PROSODY_X(body)                                                                            \
	"<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' type='hidden'>" SUMMARY       \
	        PROSODY_FIELD("message-count", "text-single",                                      \
	                      "<value>1</value>") "<field var='pending-subscription-count' "       \
	                                          "type='text-single'/>"                           \
	                                          "<field var='last-message-sender' "              \
	                                          "type='jid-single'/>" body "</x>"
#define PROSODY_BODY                                                                               \
	PROSODY_FIELD("last-message-body", "text-single", "<value>New Message!</value>")

static const struct form prosody_forms[] = {
	{ "message", IQ_PUBLISH(PROSODY_HEAD, NOTIFICATION(PROSODY_X(PROSODY_BODY))) },
	{ "without-body",
	  IQ_PUBLISH(
	          PROSODY_HEAD,
	          NOTIFICATION(PROSODY_X("<field var='last-message-body' type='text-single'/>"))) },
	{ NULL },
};

static enum effect prosody_effect(const struct verdict *verdict)
{
	if (!verdict->from_asked)
		return EFFECT_NONE;
	if (verdict->result)
		return EFFECT_KEEP;
	if (verdict->error_type != NULL && strcmp(verdict->error_type, "wait") == 0)
		return EFFECT_NONE;
	return EFFECT_COUNT;
}

/* ---- ejabberd: mod_push ---- */

#define EJABBERD_HEAD "to='{to}' from='{from}' type='set' id='{id}'"

static const struct form ejabberd_forms[] = {
	{ "message",
	  IQ_PUBLISH(
	          EJABBERD_HEAD,
	          NOTIFICATION("<x type='submit' xmlns='jabber:x:data'>"
	                       "<field var='FORM_TYPE' type='hidden'>" SUMMARY
	                       "<field var='last-message-body' type='text-single' label='The body "
	                       "text of the last received message'><value>New message</value>"
	                       "</field></x>")) },
	{ "empty", IQ_PUBLISH(EJABBERD_HEAD, "<notification xmlns='urn:xmpp:push:0'/>") },
	{ NULL },
};

/* It knows replies by their id alone, whoever they are from. */
static enum effect ejabberd_effect(const struct verdict *verdict)
{
	if (verdict->result)
		return EFFECT_KEEP;
	if (verdict->error_type != NULL && strcmp(verdict->error_type, "wait") == 0)
		return EFFECT_KEEP;
	return EFFECT_DROP;
}

/* ---- MongooseIM: mod_event_pusher_push ---- */

#define MONGOOSEIM_HEAD "from='{from}' to='{to}' type='set' id='{id}'"
#define MONGOOSEIM_X(fields)                                                                       \
	"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>" SUMMARY     \
	        fields "</x>"

static const struct form mongooseim_forms[] = {
	{ "message",
	  IQ_PUBLISH(
	          MONGOOSEIM_HEAD,
	          NOTIFICATION(MONGOOSEIM_X(FORM_FIELD("last-message-body", "{body}") FORM_FIELD(
	                  "last-message-sender", "{sender}") FORM_FIELD("message-count", "1")))) },
	{ "call", IQ_PUBLISH(MONGOOSEIM_HEAD,
	                     NOTIFICATION(MONGOOSEIM_X(
	                             FORM_FIELD("jingle-message", "propose")
	                                     FORM_FIELD("jingle-session-id", "{sid}")
	                                             FORM_FIELD("message-sender", "{sender}")))) },
	{ NULL },
};

static enum effect mongooseim_effect(const struct verdict *verdict)
{
	if (!verdict->result && verdict->error_type != NULL &&
	    strcmp(verdict->error_type, "cancel") == 0)
		return EFFECT_DROP;
	return EFFECT_KEEP;
}

/* ---- Tigase: the plugin PushNotifications ---- */

#define TIGASE_HEAD "from='{from}' to='{to}' type='set' id='{id}'"
#define TIGASE_X(fields)                                                                           \
	"<x xmlns='jabber:x:data'>" FORM_FIELD("FORM_TYPE", "urn:xmpp:push:summary") fields "</x>"
#define TIGASE_MESSAGE                                                                             \
	TIGASE_X(FORM_FIELD("message-count", "1")                                                  \
	                 FORM_FIELD("last-message-sender", "{sender}/phone")                       \
	                         FORM_FIELD("last-message-body", "{body}"))
#define TIGASE_PRIORITY "<priority xmlns='tigase:push:priority:0'>high</priority>"

static const struct form tigase_forms[] = {
	{ "message", IQ_PUBLISH(TIGASE_HEAD, NOTIFICATION(TIGASE_MESSAGE TIGASE_PRIORITY)) },
	{ "groupchat",
	  IQ_PUBLISH(TIGASE_HEAD,
	             NOTIFICATION(TIGASE_MESSAGE TIGASE_PRIORITY
	                          "<groupchat xmlns='http://tigase.org/protocol/"
	                          "muc#offline'><nickname>Nurse</nickname></groupchat>")) },
	{ "call",
	  IQ_PUBLISH(TIGASE_HEAD, NOTIFICATION(TIGASE_X(FORM_FIELD("message-count", "1") FORM_FIELD(
	                                  "last-message-sender", "{sender}/phone")) TIGASE_PRIORITY
	                                       "<jingle xmlns='tigase:push:jingle:0' "
	                                       "action='propose' sid='{sid}'><media>audio</media>"
	                                       "</jingle>")) },
	{ "read-elsewhere",
	  IQ_PUBLISH(TIGASE_HEAD, NOTIFICATION(TIGASE_X(FORM_FIELD("message-count", "0")))) },
	{ NULL },
};

/* It looks at the condition, whatever the type is. */
static enum effect tigase_effect(const struct verdict *verdict)
{
	static const char *const kept[] = { "remote-server-timeout", "service-unavailable",
		                            "internal-server-error", "bad-request" };

	if (verdict->result)
		return EFFECT_KEEP;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (verdict->condition != NULL && strcmp(verdict->condition, kept[i]) == 0)
			return EFFECT_KEEP;
	return EFFECT_DROP;
}

/* ---- Openfire: the plugin pushnotification ---- */

#define OPENFIRE_HEAD "type='set' id='{id}' to='{to}' from='{from}'"

static const struct form openfire_forms[] = {
	{ "message",
	  IQ_PUBLISH(
	          OPENFIRE_HEAD,
	          NOTIFICATION("<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' "
	                       "type='hidden'>" SUMMARY FORM_FIELD(
	                               "message-count",
	                               "1") "<field "
	                                    "var='last-message-sender'/>" FORM_FIELD(
	                                            "last-message-body", "New Message") "</x>")) },
	{ NULL },
};

static enum effect openfire_effect(const struct verdict *verdict)
{
	return EFFECT_NONE;
}

/* ---- all of them ---- */

#define OPTION_FORM(attributes, kind)                                                              \
	"<publish-options><x " attributes "><field var='FORM_TYPE'" kind ">" OPTIONS               \
	"<field var='secret'><value>{secret}</value></field></x></publish-options>"

const struct kind kinds[] = {
	{
	        .name = "prosody",
	        .stream_id = "1d3f9c0a-0000-4000-8000-{n}",
	        .publish_id = "85c45f12c0de4b0aa6b8f2d37e5a9c1144d0b7f6a1e24c3b{n}",
	        .any_case = true,
	        .known_at_header = true,
	        .second = SECOND_REFUSED,
	        .foreign = "invalid-from",
	        .other = "unsupported-stanza-type",
	        .refuses_comments = true,
	        .errors_max = 16,
	        .effect = prosody_effect,
	        .option_form = OPTION_FORM("xmlns='jabber:x:data' type='submit'", " type='hidden'"),
	        .forms = prosody_forms,
	},
	{
	        .name = "ejabberd",
	        .stream_id = "1795340409852{n}",
	        .publish_id =
	                "rr-1795340409852-14698826903502462367-ZS4v99mHp1+oKFc9/{n}=-70306884",
	        .second = SECOND_SHARES,
	        .balance = BALANCE_RANDOM,
	        .no_address = "improper-addressing",
	        .foreign = "invalid-from",
	        .patience_ms = 32000,
	        .effect = ejabberd_effect,
	        .option_form = OPTION_FORM("type='submit' xmlns='jabber:x:data'", " type='hidden'"),
	        .forms = ejabberd_forms,
	},
	{
	        .name = "mongooseim",
	        .stream_id = "{n}",
	        .publish_id = "2026-11-29T00:00:00/{n}",
	        .bares = true,
	        .second = SECOND_REFUSED,
	        .patience_ms = 32000,
	        .effect = mongooseim_effect,
	        .option_form = OPTION_FORM("xmlns='jabber:x:data' type='submit'", " type='hidden'"),
	        .forms = mongooseim_forms,
	},
	{
	        .name = "openfire",
	        .stream_id = "{n}",
	        .publish_id = "{n}-push",
	        .any_case = true,
	        .subdomains = true,
	        .asks = true,
	        .second = SECOND_IF_ASKED,
	        .balance = BALANCE_TURNS,
	        .effect = openfire_effect,
	        .option_form = OPTION_FORM("xmlns='jabber:x:data' type='submit'", ""),
	        .forms = openfire_forms,
	},
	{
	        .name = "tigase",
	        .stream_id = "1d3f9c0a-0000-4000-8000-{n}",
	        .publish_id = "push-{n}",
	        .any_case = true,
	        .known_at_header = true,
	        .second = SECOND_SHARES,
	        .balance = BALANCE_RECEIVER,
	        .patience_ms = 360000,
	        .effect = tigase_effect,
	        .option_form = OPTION_FORM("xmlns='jabber:x:data' type='submit'", ""),
	        .forms = tigase_forms,
	},
};
const size_t kind_count = sizeof(kinds) / sizeof(kinds[0]);

const struct kind *kind_by_name(const char *name)
{
	for (size_t i = 0; i < kind_count; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

const struct form *kind_form(const struct kind *kind, const char *name)
{
	for (const struct form *form = kind->forms; form->name != NULL; form++)
		if (name == NULL || strcmp(form->name, name) == 0)
			return form;
	return NULL;
}
