/*
 * SOCKS5 bytestreams, the proxy's side of XEP-0065: where it is, and the activation of a stream.
 * Handlers of the route table.
 */
#ifndef OG_XMPPGW_SERVICES_BYTESTREAMS_H
#define OG_XMPPGW_SERVICES_BYTESTREAMS_H

#include "xmppgw/component/iq.h"
#include "xmppgw/xmpp/jid.h"
#include "xmppgw/xmpp/xml.h"

#define BYTESTREAMS_NS "http://jabber.org/protocol/bytestreams"
#define BYTESTREAMS_HASH_LEN 40

/* What an activation asks for. */
struct bytestream {
	struct jid requester, target;
	char hash[BYTESTREAMS_HASH_LEN + 1]; /* of SID, requester and target: the stream's name */
};

/*
 * Reads <query sid='…'><activate>target</activate></query> from the requester FROM. 0, or -1 with
 * *ERROR (XEP-0065 has bad-request and jid-malformed for it). Pure.
 */
int bytestreams_read(const struct xml *query, const char *from, struct bytestream *bytestream,
                     enum iq_condition *error);

void bytestreams_address(struct iq *iq, const struct xml *query);
void bytestreams_activate(struct iq *iq, const struct xml *query);

#endif
