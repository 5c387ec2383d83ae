/*
 * The operators' command show-usage: the bytes that users, domains, relays and all together have
 * used in a month, as relayd counts them.
 */
#ifndef OG_XMPPGW_COMMANDS_USAGE_H
#define OG_XMPPGW_COMMANDS_USAGE_H

#include "xmppgw/commands/adhoc.h"

/* Rows of the table of commands: see struct adhoc_command. */
void usage_form(struct buf *out);
void usage_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form);

#endif
