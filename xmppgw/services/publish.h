/*
 * The way of publishes to the push daemons: those of one turn of the loop are gathered into
 * arrays, a few calls are in flight to each daemon, and every publish is answered as the outcome
 * says, in time. What waits is bounded by the answers that a link may owe.
 */
#ifndef OG_XMPPGW_SERVICES_PUBLISH_H
#define OG_XMPPGW_SERVICES_PUBLISH_H

#include "xmppgw/component/iq.h"
#include "xmppgw/services/push.h"

#define PUBLISH_MS 25000 /* in all: servers give up after 30 s */

/* Module. */
extern const struct daemon_module publish_module;

/* Sends what PUSH holds, which is copied, to a push daemon. Consumes IQ later. */
void publish_queue(struct iq *iq, const struct push *push);

/* Answers a publish that no push daemon needs to see. Consumes IQ. */
void publish_refuse(struct iq *iq, enum iq_condition error);

#endif
