/*
 * The operators' commands about limits of users and domains, which are relayd's: show-limits and
 * set-limits.
 */
#ifndef OG_XMPPGW_COMMANDS_LIMITS_H
#define OG_XMPPGW_COMMANDS_LIMITS_H

#include "xmppgw/commands/adhoc.h"

/* Rows of the table of commands: see struct adhoc_command. */
void limits_form(struct buf *out);
void limits_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form);
void limits_change_form(struct buf *out);
void limits_change_submit(struct iq *iq, const struct adhoc_session *session,
                          const struct xml *form);

#endif
