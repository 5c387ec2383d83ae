#include "xmppgw/services/version.h"

#include "xmppgw/xmpp/markup.h"

void version_answer(struct answer *answer, const struct xml *payload)
{
	markup_add(answer_begin(answer),
	           "<query xmlns='" VERSION_NS "'><name>Outrigger</name><version>%s</version>"
	           "</query>",
	           OG_VERSION);
	answer_end(answer);
}
