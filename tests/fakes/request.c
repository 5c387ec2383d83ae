#include "tests/fakes/request.h"

#include <string.h>

#include "common/base/mem.h"

#define DEVICE_PATH "/3/device/"

const char *const provider_names[] = { "apns", "fcm", "oauth", NULL };
const char *const environment_names[] = { "production", "sandbox", NULL };

int request_add_header(struct request *request, struct header header, size_t name_len,
                       size_t value_len)
{
	request->head.max = REQUEST_HEAD_MAX;
	return headers_add(&request->head, header, name_len, value_len);
}

void request_add_body(struct request *request, const void *data, size_t len)
{
	size_t room = REQUEST_BODY_MAX - buf_len(&request->body);

	request->body_total += len;
	buf_append(&request->body, data, len < room ? len : room);
}

static const char *text_of(const struct buf *head, const char *name)
{
	const char *value = headers_find(head, name);

	return value == NULL ? "" : value;
}

/* Google's paths are known; whatever else comes is APNs's to refuse. */
static enum provider provider_of(const char *path)
{
	if (strncmp(path, "/v1/", 4) == 0)
		return PROVIDER_FCM;
	if (strcmp(path, "/token") == 0)
		return PROVIDER_OAUTH;
	return PROVIDER_APNS;
}

/* FCM takes a registration token or, in its place, a Firebase installation id. */
static const char *device_of(const json_t *message)
{
	const char *token = json_string_value(json_object_get(message, "token"));

	return token != NULL ? token : json_string_value(json_object_get(message, "fid"));
}

static const char *device_token(const struct request *request)
{
	if (request->provider == PROVIDER_FCM)
		return device_of(json_object_get(request->json, "message"));
	if (strncmp(request->path, DEVICE_PATH, strlen(DEVICE_PATH)) == 0)
		return request->path + strlen(DEVICE_PATH);
	return NULL;
}

void request_complete(struct request *request)
{
	const struct buf *body = &request->body;

	request->method = text_of(&request->head, ":method");
	request->path = text_of(&request->head, ":path");
	request->authority = text_of(&request->head, ":authority");
	request->provider = provider_of(request->path);
	if (request->provider != PROVIDER_OAUTH && buf_len(body) == request->body_total)
		request->json =
		        json_loadb(buf_data(body), buf_len(body), JSON_REJECT_DUPLICATES, NULL);
	request->token = device_token(request);
}

void request_release(struct request *request)
{
	buf_release(&request->head);
	buf_release(&request->body);
	json_decref(request->json);
	memset(request, 0, sizeof(*request));
}
