#include "xmppgw/services/version.h"

#include "xmppgw/xmpp/markup.h"

void version_answer(struct iq *iq, const struct xml *payload)
{
	markup_add(iq_begin(iq),
	           "<query xmlns='" VERSION_NS "'><name>Outrigger</name><version>%s</version>"
	           "</query>",
	           OG_VERSION);
	iq_end(iq);
}
