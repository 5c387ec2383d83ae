#include "xmppgw/xmpp/limit_notice.h"

#include <stddef.h>

#include "xmppgw/xmpp/markup.h"

#define STANZAS_NS "urn:ietf:params:xml:ns:xmpp-stanzas"

static void add_start(const struct limit_notice *notice, const char *type, struct buf *out)
{
	markup_add(out, "<message type='%s' id='%s' from='%s' to='%s'>", type, notice->id,
	           notice->component, notice->to);
}

static void add_end(const struct limit_notice *notice, struct buf *out)
{
	markup_add(out,
	           "<error type='cancel'><not-allowed xmlns='" STANZAS_NS "'/>"
	           "<text xmlns='" STANZAS_NS "' xml:lang='en'>%s</text></error></message>",
	           notice->reason);
}

void limit_notice_headline(const struct limit_notice *notice, struct buf *out)
{
	const char *fate = notice->stopped ? "stopped before it was complete" : "not allowed";

	add_start(notice, "headline", out);
	markup_add(out, "<body>The file transfer with %s was %s. %s</body>", notice->other, fate,
	           notice->explanation != NULL ? notice->explanation : notice->reason);
	add_end(notice, out);
}

void limit_notice_error(const struct limit_notice *notice, struct buf *out)
{
	add_start(notice, "error", out);
	add_end(notice, out);
}
