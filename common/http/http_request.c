#include "common/http/http_request.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

/* ---- what the server asks ---- */

void http_request_refuse(struct http_request *request)
{
	http_fail(request, 503, "unavailable", "this server is stopping");
}

/* Finds the route; answers 404 or 405 where there is none. */
static void find_route(struct http_request *request, const char *method)
{
	struct buf allow = { 0 };

	request->path[strcspn(request->path, "?")] = '\0';
	request->route = http_route_find(request->service->routes, method, request->path,
	                                 request->params, &allow);
	if (request->route == NULL && buf_len(&allow) == 0) {
		http_fail(request, 404, "not_found", "there is nothing at this path");
	} else if (request->route == NULL) {
		buf_append(&allow, "", 1);
		http_fail(request, 405, "method_not_allowed", "only %s here", buf_data(&allow));
		http_answer_header(request, "Allow", buf_data(&allow));
	}
	buf_release(&allow);
}

static void check_token(struct http_request *request)
{
	const char *shown = http_header(request, "Authorization");

	if (request->route->open || bearer_matches(&request->service->bearer, shown))
		return;
	http_fail(request, 401, "unauthorized", "a bearer token is needed, and this isn't it");
	http_answer_header(request, "WWW-Authenticate", "Bearer");
}

/* Refused now, not in mid-body, where the library would drop the client without an answer. */
static void check_body_size(struct http_request *request)
{
	const char *length = http_header(request, "Content-Length");

	if (http_header(request, "Transfer-Encoding") != NULL)
		http_fail(request, 411, "length_required", "a body must have a Content-Length");
	else if (length != NULL && strtoull(length, NULL, 10) > request->service->body_max)
		http_fail(request, 413, "too_large", "a body may have %zu bytes",
		          request->service->body_max);
}

void http_request_judge(struct http_request *request, const char *method)
{
	request->begun = true;
	if (request->service->stopping)
		http_request_refuse(request);
	else if (strstr(request->path, "%00") != NULL)
		http_fail(request, 400, "bad_request", "a path or query can't contain a NUL");
	else
		find_route(request, method);
	if (request->response == NULL)
		check_token(request);
	if (request->response == NULL)
		check_body_size(request);
}

void http_request_serve(struct http_request *request)
{
	buf_append(&request->body, "", 1);
	if (request->service->stopping)
		http_request_refuse(request);
	else
		request->route->handle(request);
}

void http_request_free(struct http_request *request)
{
	http_route_free_params(request->params);
	json_decref(request->json);
	buf_release(&request->body);
	free(request->path);
	free(request);
}

/* ---- for handlers ---- */

void *http_context(const struct http_request *request)
{
	return request->service->context;
}

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
