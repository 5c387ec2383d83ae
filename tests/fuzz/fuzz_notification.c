/* An item of POST /v1/notifications, read and made into each provider's request. */
#include <jansson.h>
#include <stddef.h>

#include "pushd/provider/kinds.h"
#include "pushd/provider/notification.h"
#include "tests/fuzz/fuzz.h"

#define BODY_MAX 65536 /* FCM counts before JSON escapes what it counts */

static void check_request(const struct provider_request *request)
{
	json_t *body = json_loadb(request->body, request->body_len, 0, NULL);

	assert(json_is_object(body) && request->body_len <= BODY_MAX);
	assert(strncmp(request->url, "https://", strlen("https://")) == 0);
	json_decref(body);
}

static void build(const struct notification *notification, enum priority priority)
{
	static const max_align_t unset[64]; /* the keys of any kind */
	const struct material material = { .topic = "org.example.chat", .project_id = "project" };
	struct arena arena = { 0 };
	struct provider_settings settings = {
		.endpoint = "https://provider.example",
		.own = unset,
		.material = &material,
		.expiry_s = 60,
	};
	struct provider_message message = {
		.settings = &settings,
		.notification = notification,
		.priority = priority,
		.account = "romeo@example.org",
		.token = "abcdef",
		.bearer = "JWT",
		.id = "11111111-2222-4333-8444-555555555555",
		.arena = &arena,
	};

	for (size_t i = 0; provider_kinds[i] != NULL; i++) {
		struct provider_request request = { 0 };

		if (provider_kinds[i]->build(&message, &request) == 0)
			check_request(&request);
		arena_reset(&arena);
	}
	arena_release(&arena);
}

static void read_item(const json_t *value)
{
	struct json_reader reader;
	struct json_object item = json_object_top(&reader, value);
	struct notification notification;
	enum priority priority;

	notification_read(&notification, &item);
	if (!json_reader_ok(&reader))
		return;
	assert(notification.component != NULL && notification.node != NULL);
	priority = notification_priority(&notification, PRIORITY_HIGH);
	assert(priority == PRIORITY_HIGH || priority == PRIORITY_LOW);
	build(&notification, priority);
	if (notification_is_call(&notification, priority))
		build(&notification, PRIORITY_VOIP);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *value = json_loadb((const char *)data, size, 0, NULL);
	const json_t *item = json_object_get(value, "item"); /* in the cases of unit tests */

	if (value != NULL)
		read_item(item != NULL ? item : value);
	json_decref(value);
	return 0;
}
