/*
 * The stream og:events, in which relays leave what users are to be told and push daemons what
 * admins are. Each component is a
 * consumer group of it and each gateway a consumer, so that of several gateways with a link of that
 * component one takes an event. An entry is acknowledged once its messages have gone into the
 * link's socket, and taken over from a gateway that has kept it for too long: told at least once,
 * normally once.
 */
#ifndef OG_XMPPGW_EVENTS_EVENTS_H
#define OG_XMPPGW_EVENTS_EVENTS_H

/* Module; after the links, which it borrows. Nothing without Redis. */
extern const struct daemon_module events_module;

#endif
