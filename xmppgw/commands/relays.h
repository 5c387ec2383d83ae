/*
 * The operators' commands about the relays themselves: list-relays, from the registry, and
 * drain-relay.
 */
#ifndef OG_XMPPGW_COMMANDS_RELAYS_H
#define OG_XMPPGW_COMMANDS_RELAYS_H

#include "xmppgw/commands/adhoc.h"

/* Rows of the table of commands: see struct adhoc_command. */
void relays_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form);
void relays_drain_form(struct buf *out);
void relays_drain_submit(struct iq *iq, const struct adhoc_session *session,
                         const struct xml *form);

#endif
