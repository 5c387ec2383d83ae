#include "xmppgw/services/basic.h"

#include "xmppgw/xmpp/markup.h"

static void ping(struct iq *iq, const struct xml *payload)
{
	iq_result(iq);
}

static void version(struct iq *iq, const struct xml *payload)
{
	markup_add(iq_begin(iq),
	           "<query xmlns='" VERSION_NS "'><name>Outrigger</name><version>%s</version>"
	           "</query>",
	           OG_VERSION);
	iq_end(iq);
}

const struct iq_service basic_ping = { "ping",   "get",          PING_NS, "ping",
	                               ROLE_ANY, IQ_DEADLINE_MS, ping };
const struct iq_service basic_version = { "version", "get",          VERSION_NS, "query",
	                                  ROLE_ANY,  IQ_DEADLINE_MS, version };
