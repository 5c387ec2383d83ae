/* Reads the header of a stream and a stanza with xmppgw's reader, and says the stanza's name. */
#include <stdio.h>
#include <string.h>

#include "xmppgw/xmpp/xml.h"

static const char text[] = "<stream:stream xmlns='jabber:component:accept' "
                           "xmlns:stream='http://etherx.jabber.org/streams'><iq id='1'/>";

int main(void)
{
	struct xml_reader *reader = xml_reader_new();
	const struct xml *stanza;

	memcpy(xml_reader_room(reader, strlen(text)), text, strlen(text));
	xml_reader_fed(reader, strlen(text));
	if (xml_reader_next(reader, &stanza) != XML_HEADER ||
	    xml_reader_next(reader, &stanza) != XML_STANZA)
		return 1;
	printf("read=%s\n", stanza->name);
	xml_reader_free(reader);
	return 0;
}
