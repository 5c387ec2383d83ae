#include "tests/fuzz/stream.h"
#include "xmppgw/events/event.h"

#define COMPONENT "relay.example.org"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = { 0 };
	struct event event;
	char complaint[200], to[JID_TEXT_MAX] = "root@example.org";

	if (event_read((const char *)data, size, COMPONENT, &event, complaint) != EVENT_READ)
		return 0;
	assert(complaint[0] == '\0');
	if (event.kind == EVENT_OVER_LIMIT)
		(void)jid_full(&event.target, to);
	event_write(&event, COMPONENT, "1-0", to, &out);
	assert(stream_count(buf_data(&out), buf_len(&out)) == 1);
	buf_release(&out);
	return 0;
}
