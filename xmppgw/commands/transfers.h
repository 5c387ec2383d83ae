/*
 * The operators' command list-transfers: the records of transfers that ended, oldest first.
 */
#ifndef OG_XMPPGW_COMMANDS_TRANSFERS_H
#define OG_XMPPGW_COMMANDS_TRANSFERS_H

#include "xmppgw/commands/adhoc.h"

/* Rows of the table of commands: see struct adhoc_command. */
void transfers_form(struct buf *out);
void transfers_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form);

#endif
