/* All stanzas that a server can send, through the table of handlers and out again. */
#include "tests/fuzz/router.h"
#include "tests/fuzz/stream.h"
#include "xmppgw/route.h"

static bool wants_answer(const struct xml *stanza)
{
	const char *type = xml_attribute(stanza, "type");

	return strcmp(stanza->name, "iq") == 0 && type != NULL &&
	       (strcmp(type, "get") == 0 || strcmp(type, "set") == 0);
}

/* Hands over all stanzas of READER; how many of them must be answered. */
static unsigned route_all(struct stream *stream, struct xml_reader *reader)
{
	const struct xml *stanza;
	unsigned asked = 0;

	for (;;) {
		enum xml_event event = xml_reader_next(reader, &stanza);

		if (event != XML_STANZA && event != XML_SKIPPED)
			return asked;
		route_stanza(stream, event, stanza);
		asked += stanza != NULL && wants_answer(stanza);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xml_reader *reader;
	struct stream *stream;
	unsigned asked, answered;

	if (size == 0)
		return 0;
	reader = stream_open();
	stream = router_start();
	stream_feed(reader, data, size);
	asked = route_all(stream, reader);
	answered = stream_count(buf_data(&stream->output), buf_len(&stream->output));
	assert(answered + stream->iq_count <= asked);
	router_stop(stream);
	xml_reader_free(reader);
	return 0;
}
