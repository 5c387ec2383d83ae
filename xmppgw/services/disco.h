/*
 * Service discovery (XEP-0030): what a component is and can do, by its roles. Rows of the route
 * table.
 */
#ifndef OG_XMPPGW_SERVICES_DISCO_H
#define OG_XMPPGW_SERVICES_DISCO_H

#include "xmppgw/component/iq.h"

#define DISCO_INFO_NS "http://jabber.org/protocol/disco#info"
#define DISCO_ITEMS_NS "http://jabber.org/protocol/disco#items"

extern const struct iq_service disco_info, disco_items;

#endif
