/*
 * XMPP ping (XEP-0199): a handler of the route table.
 */
#ifndef OG_XMPPGW_SERVICES_PING_H
#define OG_XMPPGW_SERVICES_PING_H

#include "xmppgw/component/iq.h"
#include "xmppgw/xmpp/xml.h"

#define PING_NS "urn:xmpp:ping"

void ping_answer(struct iq *iq, const struct xml *payload);

#endif
