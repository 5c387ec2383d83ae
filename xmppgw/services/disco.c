#include "xmppgw/services/disco.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/mem.h"
#include "xmppgw/backend/backend.h"
#include "xmppgw/commands/commands.h"
#include "xmppgw/services/basic.h"
#include "xmppgw/services/bytestreams.h"
#include "xmppgw/services/publish_read.h"
#include "xmppgw/xmpp/form.h"
#include "xmppgw/xmpp/markup.h"

#define PROVIDERS_MAX 256 /* more providers than these aren't listed */

static const struct {
	unsigned roles;
	const char *category, *type, *name;
} identities[] = {
	{ ROLE_RELAY, "proxy", "bytestreams", "File transfer proxy" },
	{ ROLE_PUSH, "pubsub", "push", "Push notifications" },
};

static const struct {
	unsigned roles;
	const char *var;
} features[] = {
	{ ROLE_ANY, DISCO_INFO_NS }, { ROLE_ANY, DISCO_ITEMS_NS }, { ROLE_ANY, PING_NS },
	{ ROLE_ANY, VERSION_NS },    { ROLE_PUSH, PUSH_NS },       { ROLE_RELAY, BYTESTREAMS_NS },
};

static void add_feature(struct buf *out, const char *var)
{
	markup_add(out, "<feature var='%s'/>", var);
}

/* Siskin chooses its app server by the ids of its providers, so all that exist are listed. */
static void add_providers(struct buf *out)
{
	const char *ids[PROVIDERS_MAX];
	size_t count = backend_providers(ids, PROVIDERS_MAX);

	for (size_t i = 0; i < count; i++)
		add_feature(out, ids[i]);
}

static void add_component(struct buf *out, const struct stream *stream, const char *from)
{
	for (size_t i = 0; i < ARRAY_LEN(identities); i++)
		if (identities[i].roles & stream->roles)
			markup_add(out, "<identity category='%s' type='%s' name='%s'/>",
			           identities[i].category, identities[i].type,
			           stream->conf->name != NULL ? stream->conf->name
			                                      : identities[i].name);
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		if (features[i].roles & stream->roles)
			add_feature(out, features[i].var);
	if (commands_next(NULL, stream, from) != NULL)
		add_feature(out, ADHOC_NS);
	if (stream->roles & ROLE_PUSH)
		add_providers(out);
}

/* XEP-0050 2.2 and 2.3: the list of commands is a node, and so is each command. */
static void add_command_node(struct buf *out, const char *type, const char *name)
{
	markup_add(out, "<identity category='automation' type='%s' name='%s'/>", type, name);
	add_feature(out, ADHOC_NS);
	add_feature(out, FORM_NS);
}

/*
 * Finds the command NODE; *COMMAND becomes NULL if NODE is the list of commands. False after
 * answering that there is no such node, or that the requester may not have it.
 */
static bool find_node(struct iq *iq, const char *node, const struct adhoc_command **command)
{
	enum commands_access access = COMMANDS_UNKNOWN;

	*command = NULL;
	if (strcmp(node, ADHOC_NS) == 0) {
		if (commands_next(NULL, iq->stream, iq->to) != NULL)
			return true;
	} else {
		access = commands_find(node, iq->stream, iq->to, command);
	}
	if (access == COMMANDS_ALLOWED)
		return true;
	iq_error(iq, access == COMMANDS_FORBIDDEN ? IQ_FORBIDDEN : IQ_ITEM_NOT_FOUND, NULL);
	return false;
}

static void reply_info(struct iq *iq, const struct xml *query)
{
	const char *node = xml_attribute(query, "node");
	const struct adhoc_command *command;
	struct buf *out;

	if (node != NULL && !find_node(iq, node, &command))
		return;
	out = iq_begin(iq);
	if (node == NULL) {
		buf_text(out, "<query xmlns='" DISCO_INFO_NS "'>");
		add_component(out, iq->stream, iq->to);
	} else {
		markup_add(out, "<query xmlns='" DISCO_INFO_NS "' node='%s'>", node);
		add_command_node(out, command == NULL ? "command-list" : "command-node",
		                 command == NULL ? "Commands" : command->name);
	}
	buf_text(out, "</query>");
	iq_end(iq);
}

static void add_commands(struct buf *out, const struct iq *iq)
{
	const struct adhoc_command *command = NULL;

	while ((command = commands_next(command, iq->stream, iq->to)) != NULL)
		markup_add(out, "<item jid='%s' node='%s' name='%s'/>", iq->stream->domain,
		           command->node, command->name);
}

static void reply_items(struct iq *iq, const struct xml *query)
{
	const char *node = xml_attribute(query, "node");
	const struct adhoc_command *command;
	struct buf *out;

	if (node != NULL && !find_node(iq, node, &command))
		return;
	out = iq_begin(iq);
	buf_text(out, "<query xmlns='" DISCO_ITEMS_NS "'");
	if (node != NULL)
		markup_add(out, " node='%s'", node);
	buf_text(out, ">");
	if (node != NULL && command == NULL)
		add_commands(out, iq);
	buf_text(out, "</query>");
	iq_end(iq);
}

const struct iq_service disco_info = {
	.kind = "disco-info",
	.type = "get",
	.ns = DISCO_INFO_NS,
	.name = "query",
	.roles = ROLE_ANY,
	.deadline_ms = IQ_DEADLINE_MS,
	.handle = reply_info,
};
const struct iq_service disco_items = {
	.kind = "disco-items",
	.type = "get",
	.ns = DISCO_ITEMS_NS,
	.name = "query",
	.roles = ROLE_ANY,
	.deadline_ms = IQ_DEADLINE_MS,
	.handle = reply_items,
};
