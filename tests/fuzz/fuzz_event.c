#include "tests/fuzz/stream.h"
#include "xmppgw/events/event.h"

#define COMPONENT "relay.example.org"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = { 0 };
	struct event event;
	char complaint[200];

	if (event_read((const char *)data, size, COMPONENT, &event, complaint) != EVENT_READ)
		return 0;
	assert(complaint[0] == '\0');
	if (event.kind == EVENT_OVER_LIMIT) {
		event_write_over_limit(&event, COMPONENT, "1-0", true, &out);
		event_write_over_limit(&event, COMPONENT, "1-0", false, &out);
	} else {
		event_write(&event, COMPONENT, "1-0", "root@example.org", &out);
	}
	assert(stream_count(buf_data(&out), buf_len(&out)) ==
	       (event.kind == EVENT_OVER_LIMIT ? 4 : 1));
	buf_release(&out);
	return 0;
}
