#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "xmppgw/adhoc/command_call.h"
#include "xmppgw/commands/commands.h"

/* clang-format off */
static const struct field fields[] = {
	{ "account", "User (user@domain)", FIELD_ACCOUNT, FIELD_REQUIRED },
	{ NULL },
};
/* clang-format on */

struct forgetting {
	struct command_call call;
	char account[JID_TEXT_MAX];
	long long devices; /* that pushd removed; -1: it wasn't asked */
};

static long long number(const struct command_reply *reply, const char *key)
{
	return json_integer_value(json_object_get(reply->body, key));
}

/* The path is the same in the APIs of pushd and relayd. */
static void ask(struct forgetting *forgetting, enum backend_kind kind,
                void (*done)(struct command_call *call))
{
	char *path = api_call_path_of("/v1/accounts", forgetting->account, "");

	forgetting->call.done = done;
	command_call_any(&forgetting->call, kind, "DELETE", path, NULL);
	free(path);
}

static void reply_note(struct forgetting *forgetting, const char *traffic)
{
	char *devices = forgetting->devices < 0 ? mem_dup("")
	                                        : mem_printf(" %lld devices", forgetting->devices);
	char *text = mem_printf("The account is forgotten: it had%s%s%s.", devices,
	                        *devices != '\0' && *traffic != '\0' ? "," : "", traffic);

	adhoc_reply_note(&forgetting->call.request, text);
	free(text);
	free(devices);
}

static void on_relay_forgot(struct command_call *call)
{
	struct forgetting *forgetting = container_of(call, struct forgetting, call);
	const struct command_reply *reply = call->replies;
	char *traffic;

	if (reply->status != 200) {
		command_call_fail(call, reply);
		return;
	}
	traffic = mem_printf(" usage in %lld months, %lld transfers on record",
	                     number(reply, "months"), number(reply, "transfers"));
	reply_note(forgetting, traffic);
	free(traffic);
}

/* Only users transfer; a domain may have devices. */
static bool relay_is_asked(const struct forgetting *forgetting)
{
	return (forgetting->call.request.iq->stream->roles & ROLE_RELAY) &&
	       (forgetting->devices < 0 || strchr(forgetting->account, '@') != NULL);
}

static void on_push_forgot(struct command_call *call)
{
	struct forgetting *forgetting = container_of(call, struct forgetting, call);
	const struct command_reply *reply = call->replies;

	if (reply->status != 200) {
		command_call_fail(call, reply);
		return;
	}
	forgetting->devices = number(reply, "devices");
	if (relay_is_asked(forgetting))
		ask(forgetting, BACKEND_RELAY, on_relay_forgot);
	else
		reply_note(forgetting, "");
}

static void forget(struct adhoc_request *request, const struct field_values *values)
{
	unsigned roles = request->iq->stream->roles;
	struct forgetting *forgetting = command_call_new(sizeof(*forgetting), request);

	snprintf(forgetting->account, sizeof(forgetting->account), "%s",
	         fields_get(values, "account")->text);
	forgetting->devices = -1;
	if (roles & ROLE_PUSH)
		ask(forgetting, BACKEND_PUSH, on_push_forgot);
	else
		ask(forgetting, BACKEND_RELAY, on_relay_forgot);
}

const struct adhoc_command command_forget_account = {
	.node = "forget-account",
	.name = "Forget a user",
	.roles = ROLE_ANY,
	.right = ADHOC_ADMINS,
	.instructions = "Removes what is known of the user: devices and their notifications where "
	                "push is served; limits, usage and records of transfers where transfers "
	                "are relayed.",
	.fields = fields,
	.run = forget,
};
