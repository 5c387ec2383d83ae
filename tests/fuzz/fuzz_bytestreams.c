#include "tests/fuzz/stream.h"
#include "xmppgw/services/bytestreams.h"

static void check(const struct xml *query, const char *from)
{
	struct bytestream bytestream;
	enum iq_condition error = IQ_CONDITIONS;

	if (bytestreams_read(query, from, &bytestream, &error) != 0) {
		assert(error == IQ_BAD_REQUEST || error == IQ_JID_MALFORMED);
		return;
	}
	assert(strspn(bytestream.hash, "0123456789abcdef") == BYTESTREAMS_HASH_LEN);
	assert(bytestream.hash[BYTESTREAMS_HASH_LEN] == '\0');
	assert(bytestream.requester.domain[0] != '\0' && bytestream.target.domain[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xml_reader *reader = stream_open();
	const struct xml *stanza;

	stream_feed(reader, data, size);
	while (size > 0 && (stanza = stream_stanza(reader)) != NULL) {
		const char *from = xml_attribute(stanza, "from");

		if (stanza->first != NULL && from != NULL)
			check(stanza->first, from);
	}
	xml_reader_free(reader);
	return 0;
}
