/*
 * What every entity answers: XMPP ping (XEP-0199) and software version (XEP-0092). Rows of the
 * route table.
 */
#ifndef OG_XMPPGW_SERVICES_BASIC_H
#define OG_XMPPGW_SERVICES_BASIC_H

#include "xmppgw/component/iq.h"

#define PING_NS "urn:xmpp:ping"
#define VERSION_NS "jabber:iq:version"

extern const struct iq_service basic_ping, basic_version;

#endif
