/*
 * Which handler a stanza goes to. The table of IQs is here: a service is a row and its handler.
 */
#ifndef OG_XMPPGW_ROUTE_H
#define OG_XMPPGW_ROUTE_H

#include "xmppgw/component/answer.h"
#include "xmppgw/component/link.h"
#include "xmppgw/xmpp/xml.h"

/*
 * A stanza that came in on LINK. IQ gets and sets are answered exactly once, now or later;
 * results, errors, messages and presence never.
 */
void route_stanza(struct link *link, const struct xml *stanza);

/* One that passed a limit of the reader: its start tag, or NULL. */
void route_skipped(struct link *link, const struct xml *stanza);

void route_metrics(void);

#endif
