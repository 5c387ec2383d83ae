/*
 * Publishes (XEP-0357) on their way to the push daemons. Those of one turn of the loop are gathered
 * into arrays, a few calls are in flight to each daemon, and every publish is answered as its
 * outcome says, before its server gives up. The IQs that a stream may leave unanswered bound what
 * waits here.
 */
#ifndef OG_XMPPGW_SERVICES_PUBLISH_SEND_H
#define OG_XMPPGW_SERVICES_PUBLISH_SEND_H

#include "xmppgw/component/iq.h"
#include "xmppgw/xmpp/xml.h"

#define PUBLISH_MS 25000 /* from request to answer: servers give up after 30 s */

/* Module. */
extern const struct daemon_module publish_send_module;

/* A handler of the route table. */
void publish_send(struct iq *iq, const struct xml *pubsub);

#endif
