/*
 * Push (XEP-0357): reads what a server publishes into notifications as pushd takes them (an item
 * of POST /v1/notifications). Accepts all that servers are known to send: summary forms of any
 * type or none, fields without values, Tigase's extensions. Pure.
 */
#ifndef OG_XMPPGW_SERVICES_PUBLISH_READ_H
#define OG_XMPPGW_SERVICES_PUBLISH_READ_H

#include "common/base/buf.h"
#include "xmppgw/xmpp/xml.h"

#define PUSH_NS "urn:xmpp:push:0"
#define PUBSUB_NS "http://jabber.org/protocol/pubsub"
#define PUBLISH_NODE_MAX 512 /* bytes; ours have 32, device tokens (fpush) up to so many */
#define PUBLISH_ITEMS_MAX 16 /* of one publish; servers send one */

enum publish_verdict {
	PUBLISH_READ,      /* PUBLISH->json has the notifications */
	PUBLISH_UNKNOWN,   /* a node or secret that can't be ours, or the sender is a client */
	PUBLISH_MALFORMED, /* a server's, but no publish of notifications: PUBLISH->why */
};

/* The notifications of one publish. */
struct publish {
	const char *node; /* borrowed from the stanza */
	struct buf json;  /* JSON objects, separated by commas */
	unsigned count;
	const char *why; /* what is wrong with a malformed one; static */
};

/*
 * True if FROM is a client's JID. It has no registration at the server that it speaks through, so
 * it may be told what is wrong. All others may be servers, which forget a registration at most
 * errors that are not of the type "wait".
 */
bool publish_from_client(const char *from);

/*
 * Reads <pubsub/> that FROM sent to COMPONENT. PUBLISH->json is empty before, and is the caller's
 * to release.
 */
enum publish_verdict publish_read(const struct xml *pubsub, const char *from, const char *component,
                                  struct publish *publish);

#endif
