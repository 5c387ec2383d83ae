#include "xmppgw/commands/device_call.h"

#include "xmppgw/backend/backend.h"

bool device_call_owner(struct iq *iq, char owner[JID_TEXT_MAX])
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

/* Any push daemon serves any device; hashing the owner spreads the calls. */
void device_call(struct adhoc_request *request, const char *path, json_t *body,
                 void (*done)(struct command_call *call))
{
	struct backend *push = backend_for(json_string_value(json_object_get(body, "owner")));
	struct command_call *call;

	if (push == NULL) {
		json_decref(body);
		iq_error(request->iq, IQ_INTERNAL_SERVER_ERROR, "No push daemon can be reached.");
		return;
	}
	call = command_call_new(sizeof(*call), request);
	call->done = done;
	command_call_one(call, push, "POST", path, body);
}

void device_call_fail(const struct command_call *call)
{
	const struct command_reply *reply = call->replies;
	struct iq *iq = call->request.iq;

	switch (reply->status) {
	case 400:
		iq_error(iq, IQ_BAD_REQUEST,
		         api_call_message(reply->body, "The device was refused."));
		break;
	case 403:
		iq_error(iq, IQ_NOT_ALLOWED, "Your domain may not register devices.");
		break;
	case 404:
		iq_error(iq, IQ_ITEM_NOT_FOUND, "Device is not registered");
		break;
	case 429:
		iq_error(iq, IQ_RESOURCE_CONSTRAINT,
		         api_call_message(reply->body, "There are too many devices."));
		break;
	default:
		iq_error(iq, IQ_INTERNAL_SERVER_ERROR, NULL);
	}
}
