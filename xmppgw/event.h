/*
 * An event that a relay left for the gateways: a transfer that was ended over a limit, of which
 * both parties are told. What it says came through Redis and began with strangers, so all of it is
 * checked. Pure.
 */
#ifndef OG_XMPPGW_EVENT_H
#define OG_XMPPGW_EVENT_H

#include "common/buf.h"
#include "xmppgw/jid.h"

#define EVENT_REASON_MAX 4096 /* bytes; a JID may be part of it */

struct event {
	struct jid requester, target;
	char reason[EVENT_REASON_MAX + 1]; /* for people */
};

enum event_verdict {
	EVENT_READ,      /* both are to be told */
	EVENT_FOREIGN,   /* of another component, or of a kind that none of us is told about */
	EVENT_MALFORMED, /* see the complaint */
};

/*
 * Reads the JSON TEXT of LEN bytes for COMPONENT. What is wrong with it goes to COMPLAINT (200
 * bytes), "" otherwise.
 */
enum event_verdict event_read(const char *text, size_t len, const char *component,
                              struct event *event, char *complaint);

/*
 * Appends the two messages (RFC 6121 5.2.2, type error) from COMPONENT to the requester and the
 * target, both with the stanza id ID.
 */
void event_write(const struct event *event, const char *component, const char *id, struct buf *out);

#endif
