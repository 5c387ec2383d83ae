/* What a server publishes becomes what pushd reads: one array, and no complaint about it. */
#include <jansson.h>

#include "pushd/provider/notification.h"
#include "tests/fuzz/stream.h"
#include "xmppgw/services/publish_read.h"

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

static void check_push(const struct publish *publish)
{
	char *text = mem_printf("[%.*s]", (int)buf_len(&publish->json), buf_data(&publish->json));
	json_t *array = json_loads(text, 0, NULL), *value;
	size_t i;

	assert(array != NULL && json_array_size(array) == publish->count);
	assert(publish->count > 0 && publish->count <= PUBLISH_ITEMS_MAX);
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
		struct publish publish = { 0 };

		if (stanza->first != NULL && from != NULL &&
		    publish_read(stanza->first, from, COMPONENT, &publish) == PUBLISH_READ)
			check_push(&publish);
		buf_release(&publish.json);
	}
	xml_reader_free(reader);
	return 0;
}
