/*
 * The field "account" of operators' forms: a user or a domain, as relayd's ledgers name them.
 */
#ifndef OG_XMPPGW_COMMANDS_ACCOUNT_H
#define OG_XMPPGW_COMMANDS_ACCOUNT_H

#include <stdbool.h>

#include "xmppgw/component/iq.h"
#include "xmppgw/xmpp/form.h"
#include "xmppgw/xmpp/jid.h"

/* Appends the field, with what an empty one means; NULL: it is required. */
void account_add_field(struct buf *out, const char *help_when_empty);

/*
 * Reads it into BARE (JID_TEXT_MAX bytes), prepared; "" when it is empty. False after answering
 * that it is malformed, or NEEDED.
 */
bool account_take(struct iq *iq, const struct xml *form, bool needed, char *bare);

#endif
