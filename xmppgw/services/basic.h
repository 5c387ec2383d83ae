/*
 * What every entity answers: XMPP ping (XEP-0199) and software version (XEP-0092). Handlers of the
 * route table.
 */
#ifndef OG_XMPPGW_SERVICES_BASIC_H
#define OG_XMPPGW_SERVICES_BASIC_H

#include "xmppgw/component/iq.h"
#include "xmppgw/xmpp/xml.h"

#define PING_NS "urn:xmpp:ping"
#define VERSION_NS "jabber:iq:version"

void basic_ping(struct iq *iq, const struct xml *payload);
void basic_version(struct iq *iq, const struct xml *payload);

#endif
