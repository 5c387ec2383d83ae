/*
 * SOCKS5 bytestreams (XEP-0065), the proxy's side: the query for its address, and the reading of an
 * activation.
 */
#ifndef OG_XMPPGW_SERVICES_BYTESTREAMS_H
#define OG_XMPPGW_SERVICES_BYTESTREAMS_H

#include "common/text/jid.h"
#include "xmppgw/component/iq.h"
#include "xmppgw/xmpp/xml.h"

#define BYTESTREAMS_NS "http://jabber.org/protocol/bytestreams"
#define BYTESTREAMS_HASH_LEN 40

/* The error's text for a user who is not served. */
#define BYTESTREAMS_NOT_SERVED "This proxy is for other domains."

/* The stream that an activation names. */
struct bytestream {
	struct jid requester, target;
	char hash[BYTESTREAMS_HASH_LEN + 1]; /* of SID, requester and target: the stream's name */
};

/*
 * Reads <query sid='…'><activate>target</activate></query> from the requester FROM. 0, or -1 with
 * *CONDITION (bad-request or jid-malformed, as XEP-0065 has it). Pure.
 */
int bytestreams_read(const struct xml *query, const char *from, struct bytestream *bytestream,
                     enum iq_condition *condition);

/* The query for the proxy's address: a row of the route table. */
extern const struct iq_service bytestreams_address;

#endif
