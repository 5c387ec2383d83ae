#include <string.h>

#include "common/base/mem.h"
#include "xmppgw/commands/commands.h"
#include "xmppgw/commands/device_call.h"
#include "xmppgw/xmpp/markup.h"

/* How many bytes a client's server may encrypt for a push: APNs and FCM take 4 KiB in all. */
#define PAYLOAD_MAX "3072"

/* The extensions that are passed on to the app. Clients look for the first one. */
static const char *const features[] = {
	"tigase:push:encrypt:0",
	"tigase:push:priority:0",
	"tigase:push:jingle:0",
	"tigase:push:meet:0",
};

static size_t offer_providers(const char **ids)
{
	return backend_providers(ids, FIELD_CHOICES_MAX);
}

/* ---- register-device ---- */

static const struct field register_fields[] = {
	{ "provider", "Provider", FIELD_CHOICE, FIELD_REQUIRED, .offer = offer_providers },
	{ "device-token", "Device token", FIELD_TEXT, FIELD_REQUIRED },
	{ "device-second-token", "Device second token (PushKit)" },
	{ NULL },
};

static void reply_registered(const struct command_call *call, const char *node)
{
	struct buf *out = adhoc_begin(&call->request);

	markup_add(out, "<field var='node' type='text-single'><value>%s</value></field>", node);
	buf_text(out, "<field var='features' type='text-multi'>");
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		markup_add(out, "<value>%s</value>", features[i]);
	buf_text(out, "</field><field var='max-payload-size' type='text-single'>"
	              "<value>" PAYLOAD_MAX "</value></field>");
	adhoc_end(&call->request, out, NULL);
}

/* A client that got no answer in time registers again, and gets the same node. */
static void on_registered(struct command_call *call)
{
	const char *node = json_string_value(json_object_get(call->replies->body, "node"));

	if (call->replies->status == 200 && node != NULL)
		reply_registered(call, node);
	else
		device_call_fail(call);
}

static void register_device(struct adhoc_request *request, const struct field_values *values)
{
	char owner[JID_TEXT_MAX];
	json_t *body;

	if (!device_call_owner(request->iq, owner))
		return;
	body = json_pack("{s:s, s:s, s:s, s:s, s:s}", "component", request->iq->stream->domain,
	                 "owner", owner, "provider", fields_get(values, "provider")->text, "token",
	                 fields_get(values, "device-token")->text, "dialect", "tigase");
	api_call_add(body, "second_token", fields_get(values, "device-second-token")->text);
	device_call(request, "/v1/devices", body, on_registered);
}

const struct adhoc_command command_register_device = {
	.node = "register-device",
	.name = "Register device",
	.roles = ROLE_PUSH,
	.right = ADHOC_ANYONE,
	.fields = register_fields,
	.run = register_device,
};

/* ---- unregister-device ---- */

static const struct field unregister_fields[] = {
	{ "provider", "Provider", FIELD_CHOICE, FIELD_RECOMMENDED, .offer = offer_providers },
	{ "device-token", "Device token", FIELD_TEXT, FIELD_REQUIRED },
	{ NULL },
};

static void on_unregistered(struct command_call *call)
{
	if (call->replies->status == 200)
		adhoc_end(&call->request, adhoc_begin(&call->request), NULL);
	else
		device_call_fail(call);
}

static void unregister_device(struct adhoc_request *request, const struct field_values *values)
{
	char owner[JID_TEXT_MAX];
	json_t *body;

	if (!device_call_owner(request->iq, owner))
		return;
	body = json_pack("{s:s, s:s, s:s}", "component", request->iq->stream->domain, "owner",
	                 owner, "token", fields_get(values, "device-token")->text);
	api_call_add(body, "provider", fields_get(values, "provider")->text);
	device_call(request, "/v1/devices/unregister", body, on_unregistered);
}

const struct adhoc_command command_unregister_device = {
	.node = "unregister-device",
	.name = "Unregister device",
	.roles = ROLE_PUSH,
	.right = ADHOC_ANYONE,
	.fields = unregister_fields,
	.run = unregister_device,
};
