#include <string.h>

#include "xmppgw/backend/backend.h"
#include "xmppgw/commands/commands.h"
#include "xmppgw/commands/device_call.h"
#include "xmppgw/xmpp/markup.h"

/*
 * The dialect of p2, which Conversations and its family speak: Quicksy, Cheogram, monocles, Snikket
 * for Android by register-push-fcm, Fluux and XMPPFramework by register-push-apns. No provider is
 * named: pushd's configuration says which one serves a command. Apps register at each login, and
 * get the same node and secret. A room's channel is a registration beside that of the account.
 */

#define UNDO "un" /* before the name of a command, it is what takes back what that did */

/* The command by which devices are registered that COMMAND is, or takes back. */
static const char *registering(const struct adhoc_command *command)
{
	size_t len = sizeof(UNDO) - 1;

	return command->node + (strncmp(command->node, UNDO, len) == 0 ? len : 0);
}

static bool is_served(const struct adhoc_command *command)
{
	return backend_provider_for(registering(command)) != NULL;
}

/*
 * The body of a call for the device that VALUES describe, with what each call says; NULL after
 * answering.
 */
static json_t *describe(const struct adhoc_request *request, const struct field_values *values)
{
	const char *provider = backend_provider_for(registering(request->command));
	const char *id = fields_get(values, "android-id")->text;
	char owner[JID_TEXT_MAX];

	if (id == NULL)
		id = fields_get(values, "device-id")->text;
	if (!device_call_owner(request->iq, owner))
		return NULL;
	if (id == NULL)
		iq_error(request->iq, IQ_BAD_REQUEST, "android-id or device-id is missing.");
	else if (provider == NULL && backend_first(BACKEND_PUSH) == NULL)
		iq_error(request->iq, IQ_INTERNAL_SERVER_ERROR, "No push daemon can be reached.");
	else if (provider == NULL)
		iq_error(request->iq, IQ_ITEM_NOT_FOUND, "No app registers here by this command.");
	else
		return json_pack("{s:s, s:s, s:s, s:s}", "component", request->iq->stream->domain,
		                 "owner", owner, "provider", provider, "device_id", id);
	return NULL;
}

/* ---- register-push-… ---- */

/* Apps take it by its type "form"; old ones need the jid, all need node and secret. */
static void reply_registered(const struct command_call *call, const char *node, const char *secret)
{
	struct buf *out = adhoc_begin_form(&call->request);

	markup_add(out, "<field var='jid' type='jid-single'><value>%s</value></field>",
	           call->request.iq->stream->domain);
	markup_add(out, "<field var='node' type='text-single'><value>%s</value></field>", node);
	markup_add(out, "<field var='secret' type='text-single'><value>%s</value></field>", secret);
	adhoc_end(&call->request, out, NULL);
}

static void on_registered(struct command_call *call)
{
	const json_t *body = call->replies->body;
	const char *node = json_string_value(json_object_get(body, "node"));
	const char *secret = json_string_value(json_object_get(body, "secret"));

	if (call->replies->status == 200 && node != NULL && secret != NULL)
		reply_registered(call, node, secret);
	else
		device_call_fail(call);
}

static void register_push(struct adhoc_request *request, const struct field_values *values)
{
	json_t *body = describe(request, values);

	if (body == NULL)
		return;
	api_call_add(body, "dialect", "p2");
	api_call_add(body, "token", fields_get(values, "token")->text);
	api_call_add(body, "channel", fields_get(values, "muc")->text);
	device_call(request, "/v1/devices", body, on_registered);
}

static const struct field register_fields[] = {
	{ "token", "Device token", FIELD_TEXT, FIELD_REQUIRED },
	{ "android-id", "Id of the device (Android)" },
	{ "device-id", "Id of the device" },
	{ "muc", "Room, to register its channel" },
	{ NULL },
};

#define REGISTER(service, title)                                                                   \
	{                                                                                          \
		.node = "register-push-" service, .name = "Register a device at " title,           \
		.roles = ROLE_PUSH, .right = ADHOC_ANYONE, .fields = register_fields,              \
		.offered = is_served, .run = register_push,                                        \
	}

const struct adhoc_command command_register_push_fcm = REGISTER("fcm", "FCM");
const struct adhoc_command command_register_push_apns = REGISTER("apns", "APNs");

/* ---- unregister-push-… ---- */

static const struct field unregister_fields[] = {
	{ "android-id", "Id of the device (Android)" },
	{ "device-id", "Id of the device" },
	{ "channel", "Room, as pushes for its channel name it" },
	{ NULL },
};

static void on_unregistered(struct command_call *call)
{
	if (call->replies->status == 200)
		adhoc_end(&call->request, adhoc_begin_form(&call->request), NULL);
	else
		device_call_fail(call);
}

static void unregister_push(struct adhoc_request *request, const struct field_values *values)
{
	json_t *body = describe(request, values);

	if (body == NULL)
		return;
	api_call_add(body, "channel_id", fields_get(values, "channel")->text);
	device_call(request, "/v1/devices/unregister", body, on_unregistered);
}

#define UNREGISTER(service, title)                                                                 \
	{                                                                                          \
		.node = UNDO "register-push-" service, .name = "Unregister a device at " title,    \
		.roles = ROLE_PUSH, .right = ADHOC_ANYONE, .fields = unregister_fields,            \
		.offered = is_served, .run = unregister_push,                                      \
	}

const struct adhoc_command command_unregister_push_fcm = UNREGISTER("fcm", "FCM");
const struct adhoc_command command_unregister_push_apns = UNREGISTER("apns", "APNs");
