#include "xmppgw/commands/registration.h"

#include "common/base/mem.h"
#include "xmppgw/commands/adhoc_call.h"
#include "xmppgw/xmpp/form.h"
#include "xmppgw/xmpp/jid.h"
#include "xmppgw/xmpp/markup.h"

/* What a client's server may put into an encrypted payload: APNs and FCM take 4 KiB in all. */
#define PAYLOAD_MAX "3072"

/* What is passed on to the app beyond the summary: clients look for the first of them. */
static const char *const features[] = {
	"tigase:push:encrypt:0",
	"tigase:push:priority:0",
	"tigase:push:jingle:0",
	"tigase:push:meet:0",
};

/* ---- the forms ---- */

static void add_providers(struct buf *out)
{
	struct backend *push = backend_for("");
	size_t i;
	json_t *provider;

	buf_text(out, "<field var='provider' type='list-single' label='Provider'><required/>");
	json_array_foreach (push == NULL ? NULL : json_object_get(push->record, "providers"), i,
	                    provider) {
		const char *id = json_string_value(json_object_get(provider, "id"));

		if (id != NULL)
			markup_add(out, "<option label='%s'><value>%s</value></option>", id, id);
	}
	buf_text(out, "</field><field var='device-token' type='text-single' label='Device token'>"
	              "<required/></field>");
}

void registration_form(struct buf *out)
{
	buf_text(out, "<title>Register device</title>");
	add_providers(out);
	buf_text(out, "<field var='device-second-token' type='text-single' "
	              "label='Device second token (PushKit)'/>");
}

void registration_removal_form(struct buf *out)
{
	buf_text(out, "<title>Unregister device</title>");
	add_providers(out);
}

/* ---- calls ---- */

/* The bare JID of who asked, which owns the device: a user's. False after answering. */
static bool take_owner(struct iq *iq, char *owner)
{
	struct jid jid;

	if (jid_parse(iq->to, &jid) != 0)
		iq_error(iq, IQ_JID_MALFORMED, NULL);
	else if (jid.local[0] == '\0')
		iq_error(iq, IQ_NOT_ALLOWED, "Only users have devices.");
	else
		return jid_bare(&jid, owner) != NULL;
	return false;
}

/* Asks a push daemon; any of them will do, so it is the device's owner that decides. */
static void ask(struct iq *iq, const struct adhoc_session *session, const char *path, json_t *body,
                void (*done)(struct adhoc_call *call, unsigned status, const json_t *reply))
{
	struct backend *push = backend_for(json_string_value(json_object_get(body, "owner")));
	struct adhoc_call *call;

	if (push == NULL) {
		json_decref(body);
		iq_error(iq, IQ_INTERNAL_SERVER_ERROR, "No push daemon can be reached.");
		return;
	}
	call = adhoc_call_new(sizeof *call, iq, session);
	call->done = done;
	adhoc_call_ask(call, push, "POST", path, body);
}

static void add_optional(json_t *body, const char *key, const char *value)
{
	if (value != NULL)
		json_object_set_new(body, key, json_string(value));
}

/* Errors of pushd in XMPP's words; those of the caller's making say what was wrong. */
static void answer_failure(struct iq *iq, unsigned status, const json_t *body)
{
	switch (status) {
	case 400:
		iq_error(iq, IQ_BAD_REQUEST, api_call_message(body, "The device was refused."));
		break;
	case 403:
		iq_error(iq, IQ_NOT_ALLOWED, "Your domain may not register devices.");
		break;
	case 404:
		iq_error(iq, IQ_ITEM_NOT_FOUND, "Device is not registered");
		break;
	default:
		iq_error(iq, IQ_INTERNAL_SERVER_ERROR, NULL);
	}
}

/* ---- register-device ---- */

static void answer_registered(struct iq *iq, const struct adhoc_session *session, const char *node)
{
	struct buf *out = adhoc_begin(iq, session);

	markup_add(out, "<field var='node' type='text-single'><value>%s</value></field>", node);
	buf_text(out, "<field var='features' type='text-multi'>");
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		markup_add(out, "<value>%s</value>", features[i]);
	buf_text(out, "</field><field var='max-payload-size' type='text-single'>"
	              "<value>" PAYLOAD_MAX "</value></field>");
	adhoc_end(iq, out);
}

/* A client whose time was over registers again and gets the same node. */
static void on_registered(struct adhoc_call *call, unsigned status, const json_t *body)
{
	const char *node = json_string_value(json_object_get(body, "node"));

	if (status == 200 && node != NULL)
		answer_registered(call->iq, &call->session, node);
	else
		answer_failure(call->iq, status == 200 ? 500 : status, body);
}

void registration_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form)
{
	const char *provider = form_value(form, "provider");
	const char *token = form_value(form, "device-token");
	char owner[JID_TEXT_MAX];
	json_t *body;

	if (provider == NULL || token == NULL) {
		iq_error(iq, IQ_BAD_REQUEST,
		         provider == NULL ? "provider is missing." : "device-token is missing.");
		return;
	}
	if (!take_owner(iq, owner))
		return;
	body = json_pack("{s:s, s:s, s:s, s:s, s:s}", "component", iq->stream->domain, "owner",
	                 owner, "provider", provider, "token", token, "dialect", "tigase");
	add_optional(body, "second_token", form_value(form, "device-second-token"));
	ask(iq, session, "/v1/devices", body, on_registered);
}

/* ---- unregister-device ---- */

static void on_unregistered(struct adhoc_call *call, unsigned status, const json_t *body)
{
	if (status == 200)
		adhoc_end(call->iq, adhoc_begin(call->iq, &call->session));
	else
		answer_failure(call->iq, status, body);
}

void registration_removal_submit(struct iq *iq, const struct adhoc_session *session,
                                 const struct xml *form)
{
	const char *token = form_value(form, "device-token");
	char owner[JID_TEXT_MAX];
	json_t *body;

	if (token == NULL) {
		iq_error(iq, IQ_BAD_REQUEST, "device-token is missing.");
		return;
	}
	if (!take_owner(iq, owner))
		return;
	body = json_pack("{s:s, s:s, s:s}", "component", iq->stream->domain, "owner", owner,
	                 "token", token);
	add_optional(body, "provider", form_value(form, "provider"));
	ask(iq, session, "/v1/devices/unregister", body, on_unregistered);
}
