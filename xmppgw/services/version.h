/*
 * Software version (XEP-0092): a handler of the route table.
 */
#ifndef OG_XMPPGW_SERVICES_VERSION_H
#define OG_XMPPGW_SERVICES_VERSION_H

#include "xmppgw/component/iq.h"
#include "xmppgw/xmpp/xml.h"

#define VERSION_NS "jabber:iq:version"

void version_answer(struct iq *iq, const struct xml *payload);

#endif
