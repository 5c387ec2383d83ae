#include "common/http_request.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/log.h"

const char *http_param(const struct http_request *request, unsigned n)
{
	assert(n < HTTP_PARAMS_MAX && request->params[n] != NULL);
	return request->params[n];
}

const char *http_body(const struct http_request *request, size_t *len)
{
	*len = buf_len(&request->body) - 1;
	return buf_data(&request->body);
}

const json_t *http_body_json(struct http_request *request)
{
	json_error_t error;
	size_t len;
	const char *body = http_body(request, &len);

	if (request->json != NULL)
		return request->json;
	request->json = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
	if (request->json == NULL)
		http_fail(request, 400, "bad_request", "the body isn't JSON: line %d column %d: %s",
		          error.line, error.column, error.text);
	return request->json;
}

void http_attach(struct http_request *request, void *state, void (*release)(void *state))
{
	request->state = state;
	request->release = release;
}

void http_reply(struct http_request *request, unsigned status, json_t *body)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;

	assert(body == NULL || text != NULL);
	json_decref(body);
	http_reply_text(request, status, "application/json", text);
}

void http_fail(struct http_request *request, unsigned status, const char *code, const char *format,
               ...)
{
	char message[400], address[NET_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	for (char *c = message; *c != '\0'; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?'; /* it may quote bytes that JSON doesn't take */
	log_info("request-refused route=%s status=%u code=%s client=%s",
	         request->route != NULL ? request->route->path : "-", status, code,
	         net_format(http_client_address(request), address));
	http_reply(request, status, json_pack("{s:s, s:s}", "error", code, "message", message));
}
