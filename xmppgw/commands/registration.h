/*
 * Tigase's commands by which a client's device is registered for push and taken out again:
 * register-device and unregister-device. The devices themselves are pushd's.
 */
#ifndef OG_XMPPGW_COMMANDS_REGISTRATION_H
#define OG_XMPPGW_COMMANDS_REGISTRATION_H

#include "xmppgw/commands/adhoc.h"

/* Rows of the table of commands: see struct adhoc_command. */
void registration_form(struct buf *out);
void registration_submit(struct iq *iq, const struct adhoc_session *session,
                         const struct xml *form);
void registration_removal_form(struct buf *out);
void registration_removal_submit(struct iq *iq, const struct adhoc_session *session,
                                 const struct xml *form);

#endif
