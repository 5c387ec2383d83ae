#include "xmppgw/services/disco.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/mem.h"
#include "xmppgw/backend/backend.h"
#include "xmppgw/commands/adhoc.h"
#include "xmppgw/services/basic.h"
#include "xmppgw/services/bytestreams.h"
#include "xmppgw/services/publish_read.h"
#include "xmppgw/xmpp/form.h"
#include "xmppgw/xmpp/markup.h"

static const struct {
	unsigned roles;
	const char *category, *type;
} identities[] = {
	{ ROLE_RELAY, "proxy", "bytestreams" },
	{ ROLE_PUSH, "pubsub", "push" },
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

/* Whether a push daemon before LAST in the list has told the provider ID already. */
static bool told_before(const struct backend *last, const char *id)
{
	struct backend *push = backend_first(BACKEND_PUSH);
	size_t i;
	json_t *provider;

	for (; push != last; push = backend_next(push, BACKEND_PUSH)) {
		json_array_foreach (json_object_get(push->record, "providers"), i, provider) {
			const char *other = json_string_value(json_object_get(provider, "id"));

			if (other != NULL && strcmp(other, id) == 0)
				return true;
		}
	}
	return false;
}

/* Siskin chooses its app server by this: the ids of the providers that there really are. */
static void add_providers(struct buf *out)
{
	struct backend *push = backend_first(BACKEND_PUSH);
	size_t i;
	json_t *provider;

	for (; push != NULL; push = backend_next(push, BACKEND_PUSH)) {
		json_array_foreach (json_object_get(push->record, "providers"), i, provider) {
			const char *id = json_string_value(json_object_get(provider, "id"));

			if (id != NULL && !told_before(push, id))
				add_feature(out, id);
		}
	}
}

static void add_component(struct buf *out, const struct stream *stream, const char *from)
{
	for (size_t i = 0; i < ARRAY_LEN(identities); i++)
		if (identities[i].roles & stream->roles)
			markup_add(out, "<identity category='%s' type='%s' name='%s'/>",
			           identities[i].category, identities[i].type, stream->conf->name);
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		if (features[i].roles & stream->roles)
			add_feature(out, features[i].var);
	if (adhoc_next(NULL, stream, from) != NULL)
		add_feature(out, ADHOC_NS);
	if (stream->roles & ROLE_PUSH)
		add_providers(out);
}

/* XEP-0050 2.2 and 2.3: the list of commands and each of them have a node. */
static void add_command_node(struct buf *out, const char *type, const char *name)
{
	markup_add(out, "<identity category='automation' type='%s' name='%s'/>", type, name);
	add_feature(out, ADHOC_NS);
	add_feature(out, FORM_NS);
}

/*
 * The command that NODE is, or NULL for the list of them; false after answering where the one who
 * asks can have neither.
 */
static bool find_node(struct iq *iq, const char *node, const struct adhoc_command **command)
{
	enum adhoc_access access = ADHOC_UNKNOWN;

	*command = NULL;
	if (strcmp(node, ADHOC_NS) == 0) {
		if (adhoc_next(NULL, iq->stream, iq->to) != NULL)
			return true;
	} else {
		*command = adhoc_find(node);
		access = adhoc_access(*command, iq->stream, iq->to);
	}
	if (access == ADHOC_ALLOWED)
		return true;
	iq_error(iq, access == ADHOC_FORBIDDEN ? IQ_FORBIDDEN : IQ_ITEM_NOT_FOUND, NULL);
	return false;
}

void disco_info(struct iq *iq, const struct xml *query)
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

	while ((command = adhoc_next(command, iq->stream, iq->to)) != NULL)
		markup_add(out, "<item jid='%s' node='%s' name='%s'/>", iq->stream->domain,
		           command->node, command->name);
}

void disco_items(struct iq *iq, const struct xml *query)
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
