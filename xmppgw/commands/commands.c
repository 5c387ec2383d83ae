#include "xmppgw/commands/commands.h"

#include <string.h>

#include "common/base/mem.h"
#include "xmppgw/acl.h"

/* In the order in which disco lists them. */
static const struct adhoc_command *const commands[] = {
	&command_register_device,     &command_unregister_device,    &command_register_push_fcm,
	&command_unregister_push_fcm, &command_register_push_apns,   &command_unregister_push_apns,
	&command_show_limits,         &command_set_limits,           &command_show_usage,
	&command_list_transfers,      &command_list_streams,         &command_cut_stream,
	&command_list_relays,         &command_drain_relay,          &command_list_devices,
	&command_show_device,         &command_delete_device,        &command_test_push,
	&command_forget_account,      &command_list_credentials,     &command_set_apns_certificate,
	&command_set_fcm_account,     &command_show_push_statistics, &command_show_queue,
	&command_list_push_daemons,   &command_drain_push_daemon,
};

static bool is_offered(const struct adhoc_command *command)
{
	return command->offered == NULL || command->offered(command);
}

static enum commands_access check_access(const struct adhoc_command *command,
                                         const struct stream *stream, const char *from)
{
	if (!(command->roles & stream->roles))
		return COMMANDS_UNKNOWN;
	if (command->right == ADHOC_ADMINS && !acl_is_admin(&stream->acl, from))
		return COMMANDS_FORBIDDEN;
	return COMMANDS_ALLOWED;
}

enum commands_access commands_find(const char *node, const struct stream *stream, const char *from,
                                   const struct adhoc_command **command)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i]->node, node) == 0) {
			*command = commands[i];
			return check_access(commands[i], stream, from);
		}
	}
	*command = NULL;
	return COMMANDS_UNKNOWN;
}

const struct adhoc_command *commands_next(const struct adhoc_command *previous,
                                          const struct stream *stream, const char *from)
{
	size_t i = 0;

	while (previous != NULL && commands[i++] != previous)
		;
	for (; i < ARRAY_LEN(commands); i++)
		if (check_access(commands[i], stream, from) == COMMANDS_ALLOWED &&
		    is_offered(commands[i]))
			return commands[i];
	return NULL;
}

static void execute(struct iq *iq, const struct xml *payload)
{
	const char *node = xml_attribute(payload, "node");
	const struct adhoc_command *command;

	switch (commands_find(node == NULL ? "" : node, iq->stream, iq->to, &command)) {
	case COMMANDS_ALLOWED:
		adhoc_execute(command, iq, payload);
		break;
	case COMMANDS_FORBIDDEN:
		iq_error(iq, IQ_FORBIDDEN, "This command is for administrators.");
		break;
	case COMMANDS_UNKNOWN:
		iq_error(iq, IQ_ITEM_NOT_FOUND, "There is no such command.");
		break;
	}
}

const struct iq_service commands_service = {
	.kind = "command",
	.type = "set",
	.ns = ADHOC_NS,
	.name = "command",
	.roles = ROLE_ANY,
	.deadline_ms = IQ_DEADLINE_MS,
	.handle = execute,
};
