/*
 * An event for the gateways. A relay tells that a limit ended a transfer, which both parties are to
 * know; a push daemon that a credential expires, and any daemon that Redis is filling, which the
 * admins are to know. Some of an event's content comes from strangers, so all of it is checked.
 * Pure.
 */
#ifndef OG_XMPPGW_EVENTS_EVENT_H
#define OG_XMPPGW_EVENTS_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/text/jid.h"

#define EVENT_REASON_MAX 4096 /* bytes; a JID may be part of it */

enum event_kind {
	EVENT_OVER_LIMIT,        /* for the parties */
	EVENT_DEVICE_GONE,       /* for the server of its owner, who is the requester */
	EVENT_CREDENTIAL_EXPIRY, /* for the admins; it names no component, so every one reads it */
	EVENT_STORAGE_FILLING,   /* likewise */
};

struct event {
	enum event_kind kind;
	struct jid requester, target; /* EVENT_OVER_LIMIT; the requester of EVENT_DEVICE_GONE */
	int64_t at_ms;                /* of what is for the admins: since 1970 */
	char reason[EVENT_REASON_MAX + 1]; /* for people; the node of EVENT_DEVICE_GONE */
	/* EVENT_OVER_LIMIT: the same as sentences; "" from a relay that sends none. */
	char explanation[EVENT_REASON_MAX + 1];
};

enum event_verdict {
	EVENT_READ,      /* somebody is to be told */
	EVENT_FOREIGN,   /* of another component, or of a kind that no gateway handles */
	EVENT_MALFORMED, /* see the complaint */
};

/*
 * Reads the JSON TEXT of LEN bytes for COMPONENT. COMPLAINT (200 bytes) says what is wrong with it,
 * or is "".
 */
enum event_verdict event_read(const char *text, size_t len, const char *component,
                              struct event *event, char *complaint);

/*
 * Appends the message that tells TO about EVENT, which isn't an EVENT_OVER_LIMIT, from COMPONENT
 * and with the stanza id ID.
 */
void event_write(const struct event *event, const char *component, const char *id, const char *to,
                 struct buf *out);

/*
 * Appends what tells both parties about EVENT, an EVENT_OVER_LIMIT: a message to each, as a
 * headline or AS_ERROR.
 */
void event_write_over_limit(const struct event *event, const char *component, const char *id,
                            bool as_error, struct buf *out);

#endif
