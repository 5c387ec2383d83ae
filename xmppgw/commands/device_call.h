/*
 * What the commands of the dialects in which apps register share: the user whose device it is,
 * calls to pushd's API for devices, and how their failures are answered.
 */
#ifndef OG_XMPPGW_COMMANDS_DEVICE_CALL_H
#define OG_XMPPGW_COMMANDS_DEVICE_CALL_H

#include <jansson.h>
#include <stdbool.h>

#include "common/text/jid.h"
#include "xmppgw/adhoc/command_call.h"

/* Writes the bare JID of the user who asks, who owns the device. False after answering. */
bool device_call_owner(struct iq *iq, char owner[JID_TEXT_MAX]);

/*
 * Posts BODY (taken over, with "owner") to PATH of a push daemon; DONE replies to REQUEST, which is
 * answered here when there is no push daemon.
 */
void device_call(struct adhoc_request *request, const char *path, json_t *body,
                 void (*done)(struct command_call *call));

/* Answers with pushd's error as an XMPP one, with a text if the client caused it. */
void device_call_fail(const struct command_call *call);

#endif
