/* What a server publishes becomes what pushd reads: one array, and no complaint about it. */
#include <jansson.h>

#include "pushd/provider/notification.h"
#include "tests/fuzz/stream.h"
#include "xmppgw/services/push.h"

#define COMPONENT "push.example.org"

static void check_notification(const json_t *value)
{
	struct json_reader reader;
	struct json_object item = json_object_top(&reader, value);
	struct notification notification;

	notification_read(&notification, &item);
	assert(json_reader_ok(&reader));
	assert(strcmp(notification.component, COMPONENT) == 0);
}

static void check_push(const struct push *push)
{
	char *text = mem_printf("[%.*s]", (int)buf_len(&push->json), buf_data(&push->json));
	json_t *array = json_loads(text, 0, NULL), *value;
	size_t i;

	assert(array != NULL && json_array_size(array) == push->count);
	assert(push->count > 0 && push->count <= PUSH_ITEMS_MAX);
	json_array_foreach (array, i, value)
		check_notification(value);
	json_decref(array);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xml_reader *reader = stream_open();
	const struct xml *stanza;

	stream_feed(reader, data, size);
	while (size > 0 && (stanza = stream_stanza(reader)) != NULL) {
		const char *from = xml_attribute(stanza, "from");
		struct push push = { 0 };

		if (stanza->first != NULL && from != NULL &&
		    push_read(stanza->first, from, COMPONENT, &push) == PUSH_READ)
			check_push(&push);
		buf_release(&push.json);
	}
	xml_reader_free(reader);
	return 0;
}
