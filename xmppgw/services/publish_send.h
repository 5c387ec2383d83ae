/*
 * Publishes (XEP-0357) on their way to the push daemons. Those of one turn of the loop are gathered
 * into arrays, a few calls are in flight to each daemon, and every publish is answered as its
 * outcome says, before its server gives up. The IQs that a stream may leave unanswered bound what
 * waits here.
 */
#ifndef OG_XMPPGW_SERVICES_PUBLISH_SEND_H
#define OG_XMPPGW_SERVICES_PUBLISH_SEND_H

#include "xmppgw/component/iq.h"

/* Module. */
extern const struct daemon_module publish_send_module;

/* A row of the route table. */
extern const struct iq_service publish_service;

#endif
