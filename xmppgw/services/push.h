/*
 * Push (XEP-0357): reads what a server publishes into notifications as pushd takes them (an item
 * of POST /v1/notifications). Accepts all that servers are known to send: summary forms of any
 * type or none, fields without values, extensions of Tigase's. Pure but for the handler.
 */
#ifndef OG_XMPPGW_SERVICES_PUSH_H
#define OG_XMPPGW_SERVICES_PUSH_H

#include "common/base/buf.h"
#include "xmppgw/component/iq.h"
#include "xmppgw/xmpp/xml.h"

#define PUSH_NS "urn:xmpp:push:0"
#define PUSH_PUBSUB_NS "http://jabber.org/protocol/pubsub"
#define PUSH_NODE_MAX 512 /* bytes; ours have 32, device tokens (fpush) up to so many */
#define PUSH_ITEMS_MAX 16 /* of one publish; servers send one */

enum push_verdict {
	PUSH_READ,      /* NOTIFICATIONS has them */
	PUSH_UNKNOWN,   /* a node or secret that can't be ours, or not a server's */
	PUSH_MALFORMED, /* no publish of notifications at all */
};

/* The notifications of one publish. */
struct push {
	const char *node; /* borrowed from the stanza */
	struct buf json;  /* JSON objects, separated by commas */
	unsigned count;
};

/*
 * Reads <pubsub/> that FROM sent to COMPONENT. PUSH->json has been emptied before, and is the
 * caller's.
 */
enum push_verdict push_read(const struct xml *pubsub, const char *from, const char *component,
                            struct push *push);

/* A handler of the route table. */
void push_publish(struct iq *iq, const struct xml *pubsub);

#endif
