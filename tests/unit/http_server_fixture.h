/*
 * A server with a handler of every kind, a client with libcurl and one by hand, for the tests of
 * http_server.c.
 */
#ifndef OG_TESTS_UNIT_HTTP_SERVER_FIXTURE_H
#define OG_TESTS_UNIT_HTTP_SERVER_FIXTURE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/http/http_client.h"
#include "common/http/http_server.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define TOKEN "token-of-the-test"
#define BODY_MAX 1000

static struct http_server *server;
static struct http_pool *pool;
static struct http_request *kept[64];
static unsigned kept_count;
static int released;
static int context = 42;

/* ---- what the server serves ---- */

static inline void serve_now(struct http_request *request)
{
	ck_assert_ptr_eq(http_context(request), &context);
	ck_assert(net_is_loopback(http_client_address(request)));
	http_reply(request, 200, json_pack("{s:b}", "now", 1));
}

static inline void count_release(void *state)
{
	ck_assert_ptr_eq(state, &released);
	released++;
}

static inline void serve_later(struct http_request *request)
{
	http_attach(request, &released, count_release);
	kept[kept_count++] = request;
}

static inline void serve_echo(struct http_request *request)
{
	const char *query = http_query(request, "q");
	char *header = http_header_list(request, "x-header");
	size_t len;
	const char *body = http_body(request, &len);

	ck_assert_uint_eq(strlen(body), len);
	http_reply(request, 200,
	           json_pack("{s:s, s:s?, s:s, s:s}", "param", http_param(request, 0), "query",
	                     query, "header", header, "body", body));
	free(header);
}

static inline void serve_json(struct http_request *request)
{
	const json_t *body = http_body_json(request);

	if (body == NULL)
		return;
	ck_assert_ptr_eq(http_body_json(request), body);
	http_reply(request, 200, json_pack("{s:O}", "is", (json_t *)body));
}

static inline void serve_delete(struct http_request *request)
{
	http_reply(request, 204, NULL);
}

static inline void serve_text(struct http_request *request)
{
	http_reply_text(request, 200, "text/plain; version=0.0.4", mem_dup("metric 1\n"));
}

static inline void serve_page(struct http_request *request)
{
	size_t limit;

	if (http_query_page(request, &limit))
		http_reply(request, 200, json_pack("{s:i}", "limit", (int)limit));
}

static inline void serve_failure(struct http_request *request)
{
	http_fail(request, 409, "conflict", "no \"%s\" here: \xff", http_param(request, 0));
}

/* Answers what waits, and then itself. */
static inline void serve_release(struct http_request *request)
{
	for (unsigned i = 0; i < kept_count; i++)
		http_reply(kept[i], 200, json_pack("{s:i}", "number", i));
	kept_count = 0;
	http_reply(request, 204, NULL);
}

static const struct http_route routes[] = {
	{ "GET", "/now", serve_now, .open = false },
	{ "GET", "/open", serve_now, .open = true },
	{ "GET", "/later", serve_later, .open = false },
	{ "POST", "/echo/{text}", serve_echo, .open = false },
	{ "POST", "/json", serve_json, .open = false },
	{ "DELETE", "/things/{id}", serve_delete, .open = false },
	{ "GET", "/things/{id}", serve_failure, .open = false },
	{ "GET", "/text", serve_text, .open = true },
	{ "GET", "/page", serve_page, .open = true },
	{ "POST", "/release", serve_release, .open = false },
	{ NULL, NULL, NULL, false },
};

static inline struct http_server_options options_for_test(void)
{
	struct http_server_options options = {
		.routes = routes,
		.token = TOKEN,
		.body_max = BODY_MAX,
		.context = &context,
	};

	ck_assert_int_eq(net_parse("127.0.0.1:0", &options.listen), 0);
	return options;
}

static inline void start_with(const struct http_server_options *options)
{
	char *why = NULL;

	http_server_free(server);
	server = http_server_new(options, &why);
	ck_assert_msg(server != NULL, "%s", why);
}

static inline void setup(void)
{
	struct http_server_options options = options_for_test();

	loop_init();
	start_with(&options);
	pool = http_pool_new(&(struct http_pool_options){ .connections = 100 });
}

static inline void teardown(void)
{
	http_pool_free(pool);
	http_server_free(server);
	loop_release();
}

/* ---- a client with libcurl ---- */

static const char *const with_token[] = { "Authorization: Bearer " TOKEN, NULL };

struct asked {
	struct http_call call;
	char url[256];
	bool done;
};

static inline void on_asked(struct http_call *call)
{
	container_of(call, struct asked, call)->done = true;
}

static inline void ask(struct asked *asked, const char *method, const char *path, const char *body)
{
	char address[NET_TEXT_MAX];

	snprintf(asked->url, sizeof(asked->url), "http://%s%s",
	         net_format(http_server_address(server), address), path);
	asked->call.done = on_asked;
	asked->call.method = method;
	asked->call.url = asked->url;
	asked->call.body = body;
	asked->call.body_len = body != NULL ? strlen(body) : 0;
	asked->call.timeout_ms = 60000;
	if (asked->call.headers == NULL)
		asked->call.headers = with_token;
	asked->done = false;
	http_send(pool, &asked->call);
}

/* Waits for the answer, which must be STATUS with BODY. */
static inline void expect(struct asked *asked, unsigned status, const char *body)
{
	WAIT_UNTIL(asked->done);
	ck_assert_str_eq(asked->call.error, "");
	ck_assert_uint_eq(asked->call.status, status);
	if (body != NULL)
		ck_assert_str_eq(asked->call.response, body);
}

static inline void expect_answer(const char *method, const char *path, const char *body,
                                 unsigned status, const char *response)
{
	struct asked asked = { 0 };

	ask(&asked, method, path, body);
	expect(&asked, status, response);
	http_release(&asked.call);
}

/* The answer must be a failure with this status and code. */
static inline void expect_failure(struct asked *asked, unsigned status, const char *code)
{
	json_t *body;

	expect(asked, status, NULL);
	ck_assert_str_eq(http_response_header(&asked->call, "content-type"), "application/json");
	body = json_loads(asked->call.response, 0, NULL);
	ck_assert_msg(body != NULL, "not JSON: %s", asked->call.response);
	ck_assert_str_eq(json_string_value(json_object_get(body, "error")), code);
	ck_assert_uint_gt(json_string_length(json_object_get(body, "message")), 0);
	ck_assert_uint_eq(json_object_size(body), 2);
	json_decref(body);
	http_release(&asked->call);
}

/* ---- a client by hand ---- */

static inline int dial(void)
{
	const union net_address *address = http_server_address(server);
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, &address->sa, net_length(address)), 0);
	return fd;
}

static inline void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Turns the loop until UNTIL has come or the server has closed; what came. */
static inline const char *hear(int fd, const char *until)
{
	static char heard[8192];
	size_t len = 0;
	ssize_t n = -1;

	memset(heard, 0, sizeof(heard));
	for (int i = 0; i < 2000 && n != 0; i++) {
		loop_turn(5);
		n = recv(fd, heard + len, sizeof(heard) - 1 - len, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			break;
		len += n > 0 ? (size_t)n : 0;
		if (until != NULL && strstr(heard, until) != NULL)
			break;
	}
	return heard;
}

/* True once the server has closed FD; throws away what it said. */
static inline bool closed(int fd)
{
	char rest[1024];
	ssize_t n = recv(fd, rest, sizeof(rest), MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

#endif
