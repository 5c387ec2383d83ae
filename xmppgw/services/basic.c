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

const struct iq_service basic_ping = {
	.kind = "ping",
	.type = "get",
	.ns = PING_NS,
	.name = "ping",
	.roles = ROLE_ANY,
	.deadline_ms = IQ_DEADLINE_MS,
	.handle = ping,
};
const struct iq_service basic_version = {
	.kind = "version",
	.type = "get",
	.ns = VERSION_NS,
	.name = "query",
	.roles = ROLE_ANY,
	.deadline_ms = IQ_DEADLINE_MS,
	.handle = version,
};
