#include "xmppgw/services/basic.h"

#include "xmppgw/xmpp/markup.h"

void basic_ping(struct iq *iq, const struct xml *payload)
{
	iq_result(iq);
}

void basic_version(struct iq *iq, const struct xml *payload)
{
	markup_add(iq_begin(iq),
	           "<query xmlns='" VERSION_NS "'><name>Outrigger</name><version>%s</version>"
	           "</query>",
	           OG_VERSION);
	iq_end(iq);
}
