/*
 * Service discovery (XEP-0030): what a component is and can do, by its roles. Handlers of the
 * route table.
 */
#ifndef OG_XMPPGW_SERVICES_DISCO_H
#define OG_XMPPGW_SERVICES_DISCO_H

#include "xmppgw/component/iq.h"
#include "xmppgw/xmpp/xml.h"

#define DISCO_INFO_NS "http://jabber.org/protocol/disco#info"
#define DISCO_ITEMS_NS "http://jabber.org/protocol/disco#items"

void disco_info(struct iq *iq, const struct xml *query);
void disco_items(struct iq *iq, const struct xml *query);

#endif
