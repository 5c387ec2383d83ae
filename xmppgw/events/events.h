/*
 * The Redis stream og:events. Relays add events for users to it, push daemons events for admins.
 * Each component is a consumer group and each gateway a consumer, so of several gateways that serve
 * a component one gets the event. An entry is acknowledged once its messages have gone into the
 * XMPP stream's socket; an entry of a gateway that kept it for too long is taken over. So an event
 * is told at least once, and normally once. The same goes for og:push:gone, where push daemons
 * leave the devices that they removed, for components with remote-disable = yes.
 */
#ifndef OG_XMPPGW_EVENTS_EVENTS_H
#define OG_XMPPGW_EVENTS_EVENTS_H

/* Module; after the components, whose streams it borrows. Does nothing without Redis. */
extern const struct daemon_module events_module;

#endif
