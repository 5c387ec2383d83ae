/*
 * Which handler a stanza goes to. The table of IQs is here: a service is a row and its handler.
 */
#ifndef OG_XMPPGW_ROUTE_H
#define OG_XMPPGW_ROUTE_H

#include "xmppgw/component/stream.h"
#include "xmppgw/xmpp/xml.h"

/* Module; before the components, whose stanzas it takes. */
extern const struct daemon_module route_module;

/*
 * A stanza that came in on STREAM (XML_STANZA), or one that passed a limit of the reader
 * (XML_SKIPPED), of which STANZA is the start tag or NULL. IQ gets and sets are answered exactly
 * once, now or later; results, errors, messages and presence never.
 */
void route_stanza(struct stream *stream, enum xml_event event, const struct xml *stanza);

#endif
