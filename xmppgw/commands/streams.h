/*
 * The operators' commands about streams that live, over all relays: list-streams and cut-stream.
 */
#ifndef OG_XMPPGW_COMMANDS_STREAMS_H
#define OG_XMPPGW_COMMANDS_STREAMS_H

#include "xmppgw/commands/adhoc.h"

/* Rows of the table of commands: see struct adhoc_command. */
void streams_form(struct buf *out);
void streams_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form);
void streams_cut_form(struct buf *out);
void streams_cut_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form);

#endif
