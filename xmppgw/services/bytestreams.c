#include "xmppgw/services/bytestreams.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/net/net.h"
#include "common/text/hex.h"
#include "xmppgw/acl.h"
#include "xmppgw/backend/backend.h"
#include "xmppgw/xmpp/markup.h"

#define SID_MAX 128 /* bytes, as ejabberd has it; every client's is far shorter */

/* ---- where the proxy is ---- */

static void add_streamhost(struct buf *out, const char *domain, const char *address)
{
	char host[NET_HOST_MAX + 1];
	uint16_t port;

	if (address != NULL && net_split(address, host, &port) == 0)
		markup_add(out, "<streamhost jid='%s' host='%s' port='%u'/>", domain, host,
		           (unsigned)port);
}

/*
 * Only the requester is known here. A requester who isn't served gets no address, though with
 * `serve = either` he may activate a stream to a target who is served.
 */
static bool serves_requester(const struct iq *iq)
{
	struct jid jid;

	return jid_parse(iq->to, &jid) == 0 && acl_serves(&iq->stream->acl, jid.domain);
}

/*
 * Replies with all addresses of one relay, not of several: both parties must meet at the same
 * relay, and many clients read only the first address.
 */
static void reply_address(struct iq *iq, const struct xml *query)
{
	struct backend *relay;
	struct buf *out;
	size_t i;
	json_t *address;
	bool full;

	if (!serves_requester(iq)) { /* 6.3.3 too */
		iq_error(iq, IQ_FORBIDDEN, BYTESTREAMS_NOT_SERVED);
		return;
	}
	relay = backend_recommend(&full);
	if (relay == NULL && full) {
		iq_error(iq, IQ_RESOURCE_CONSTRAINT, "All relays are full; try again later.");
		return;
	}
	if (relay == NULL) { /* XEP-0065 6.3.3: it can't act as a streamhost */
		iq_error(iq, IQ_NOT_ALLOWED, "No relay can be reached.");
		return;
	}
	out = iq_begin(iq);
	buf_text(out, "<query xmlns='" BYTESTREAMS_NS "'>");
	json_array_foreach (json_object_get(relay->record, "advertise"), i, address)
		add_streamhost(out, iq->stream->domain, json_string_value(address));
	buf_text(out, "</query>");
	iq_end(iq);
}

const struct iq_service bytestreams_address = {
	.kind = "address",
	.type = "get",
	.ns = BYTESTREAMS_NS,
	.name = "query",
	.roles = ROLE_RELAY,
	.deadline_ms = IQ_DEADLINE_MS,
	.handle = reply_address,
};

/* ---- what an activation asks for ---- */

/* XEP-0065 5.3.2: SHA-1 of SID, requester's JID and target's JID. */
static void hash_stream(const char *sid, struct bytestream *bytestream)
{
	char requester[JID_TEXT_MAX], target[JID_TEXT_MAX];
	char text[SID_MAX + 2 * JID_TEXT_MAX];
	unsigned char digest[SHA_DIGEST_LENGTH];
	int len = snprintf(text, sizeof(text), "%s%s%s", sid,
	                   jid_full(&bytestream->requester, requester),
	                   jid_full(&bytestream->target, target));

	SHA1((unsigned char *)text, (size_t)len, digest);
	hex_write(bytestream->hash, digest, sizeof(digest));
}

int bytestreams_read(const struct xml *query, const char *from, struct bytestream *bytestream,
                     enum iq_condition *condition)
{
	const struct xml *activate = xml_child(query, BYTESTREAMS_NS, "activate");
	const char *sid = xml_attribute(query, "sid");

	*condition = IQ_BAD_REQUEST;
	if (activate == NULL || sid == NULL || sid[0] == '\0' || strlen(sid) > SID_MAX)
		return -1;
	*condition = IQ_JID_MALFORMED;
	if (jid_parse(from, &bytestream->requester) != 0 ||
	    jid_parse_trimmed(activate->text, &bytestream->target) != 0)
		return -1;
	hash_stream(sid, bytestream);
	return 0;
}
