#include "xmppgw/backend/api_call.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "common/text/percent.h"
#include "xmppgw/conf.h"

#define RESPONSE_MAX (256 * 1024)

static struct http_pool *pool;
static char *authorization;
static const char *headers[4];

enum { ENDED_ANSWERED, ENDED_FAULT, ENDED_UNREACHED, ENDED_UNANSWERED };
static const char *const ended_names[] = { "answered", "fault", "unreached", "unanswered" };
static int64_t ended_numbers[ARRAY_LEN(ended_names)];
static struct metric ended_metric = {
	.name = "outrigger_xmppgw_backend_calls_total",
	.help = "Calls to relayd and pushd; fault: status 500 and above.",
	.kind = METRIC_COUNTER,
	.label = "outcome",
	.values = ended_names,
	.series = ARRAY_LEN(ended_names),
	.numbers = ended_numbers,
};

static int start(void *config)
{
	const struct conf *conf = config;

	pool = http_pool_new(&(struct http_pool_options){ .connections = 32 });
	authorization = mem_printf("Authorization: Bearer %s", conf->daemon.api_token);
	headers[0] = authorization;
	headers[1] = "Content-Type: application/json";
	headers[2] = "Expect:"; /* libcurl would wait for a 100 before larger bodies */
	metrics_add(&ended_metric);
	return 0;
}

static void stop(void)
{
	http_pool_free(pool);
	pool = NULL;
	mem_free_secret(authorization);
	authorization = NULL;
}

static void release(struct api_call *call)
{
	struct backend *backend = call->backend;

	http_release(&call->http);
	free(call->url);
	mem_free_secret(call->body); /* it may be a credential */
	call->url = call->body = NULL;
	call->backend = NULL;
	if (backend != NULL)
		backend_release(backend);
}

/* The status for done, and the count of how the call ended. */
static unsigned judge(const struct api_call *call)
{
	const struct http_call *http = &call->http;

	switch (http->failure) {
	case HTTP_OK:
		ended_numbers[http->status >= 500 ? ENDED_FAULT : ENDED_ANSWERED]++;
		return http->status;
	case HTTP_UNREACHABLE:
	case HTTP_NOT_H2:
	case HTTP_UNTRUSTED:
	case HTTP_CERTIFICATE:
		ended_numbers[ENDED_UNREACHED]++;
		return API_CALL_UNREACHED;
	case HTTP_TIMED_OUT:
	case HTTP_BROKEN:
	case HTTP_REFUSED:
	case HTTP_TOO_LARGE:
		break;
	}
	ended_numbers[ENDED_UNANSWERED]++;
	return API_CALL_UNANSWERED;
}

static void on_done(struct http_call *http)
{
	struct api_call *call = container_of(http, struct api_call, http);
	unsigned status = judge(call);
	json_t *body = NULL;

	if (status == API_CALL_UNREACHED)
		backend_avoid(call->backend);
	if (http->failure != HTTP_OK)
		log_warn("call-failed backend=%s url=%s reason=%s detail=\"%s\"", call->backend->id,
		         call->url, http_failure_name(http->failure), http->error);
	else if (status >= 500 || status == 401)
		log_warn("call-refused backend=%s url=%s status=%u", call->backend->id, call->url,
		         status);
	if (status > API_CALL_UNREACHED)
		body = json_loadb(http->response, http->response_len, JSON_DECODE_ANY, NULL);
	release(call);
	call->done(call, status, body);
	json_decref(body);
}

static int append(const char *bytes, size_t len, void *buf)
{
	return buf_append(buf, bytes, len);
}

/* The body of REQUEST as text (heap), or NULL. */
static char *take_body(const struct api_request *request, size_t *len)
{
	struct buf text = { 0 };

	*len = 0;
	if (request->text != NULL) {
		*len = buf_len(request->text);
		return buf_take(request->text);
	}
	if (request->json == NULL)
		return NULL;
	json_dump_callback(request->json, append, &text, JSON_COMPACT);
	json_decref(request->json);
	*len = buf_len(&text);
	return buf_take(&text);
}

void api_call_send(struct api_call *call, struct backend *backend,
                   const struct api_request *request)
{
	size_t len;

	backend_retain(backend);
	call->backend = backend;
	call->url = mem_printf("%s%s", backend->url, request->path);
	call->body = take_body(request, &len);
	call->http = (struct http_call){
		.done = on_done,
		.method = request->method,
		.url = call->url,
		.headers = headers,
		.body = call->body,
		.body_len = len,
		.response_max = RESPONSE_MAX,
		.timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : API_CALL_MS,
	};
	http_send(pool, &call->http);
}

void api_call_cancel(struct api_call *call)
{
	if (call->backend != NULL)
		release(call);
}

char *api_call_path(const char *base, const char *const *arguments)
{
	struct buf path = { 0 };
	char separator = '?';

	buf_text(&path, base);
	for (; arguments[0] != NULL; arguments += 2) {
		char *encoded;

		if (arguments[1] == NULL || arguments[1][0] == '\0')
			continue;
		encoded = percent_encode(arguments[1]);
		buf_printf(&path, "%c%s=%s", separator, arguments[0], encoded);
		free(encoded);
		separator = '&';
	}
	return buf_take(&path);
}

char *api_call_path_of(const char *base, const char *name, const char *rest)
{
	char *encoded = percent_encode(name);
	char *path = mem_printf("%s/%s%s", base, encoded, rest);

	free(encoded);
	return path;
}

void api_call_add(json_t *body, const char *key, const char *value)
{
	if (value != NULL)
		json_object_set_new(body, key, json_string(value));
}

const char *api_call_message(const json_t *body, const char *fallback)
{
	const char *message = json_string_value(json_object_get(body, "message"));

	return message == NULL ? fallback : message;
}

const struct daemon_module api_call_module = { "calls", start, stop };
