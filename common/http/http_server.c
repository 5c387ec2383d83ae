#include "common/http/http_server.h"

#include <assert.h>
#include <ctype.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/log_rate.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/panic.h"
#include "common/http/bearer.h"
#include "common/net/acceptor.h"
#include "common/net/linger.h"

#define PAGE_DEFAULT 100 /* rows */
#define PAGE_MAX 1000

/*
 * libmicrohttpd's timeout restarts at every byte, so a trickling client never reaches it. Each
 * stage has an absolute deadline.
 */
#define HEADER_MS 10000
#define BODY_MS 30000
#define ANSWER_MS 60000
#define IDLE_S 60
#define CONNECTION_MAX 1000
#define DISPLACED_MAX 256
#define IDLE_RUNS 3
#define IDLE_RUN_MS 20
/* TLS 1.3, and of 1.2 what has forward secrecy and no CBC, in the server's order. */
#define TLS_PRIORITIES                                                                             \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:"              \
	"-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:-MAC-ALL:+AEAD:"                 \
	"-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:%SERVER_PRECEDENCE"

/* The library's strictest way with a request's form; Debian 12's has fewer levels. */
#if MHD_VERSION >= 0x00097701
#define STRICTNESS MHD_OPTION_CLIENT_DISCIPLINE_LVL, 3
#else
#define STRICTNESS MHD_OPTION_STRICT_FOR_CLIENT, 1
#endif

/* What a server serves, and to whom. */
struct http_service {
	const struct http_route *routes;
	void *context;
	size_t body_max;
	struct bearer bearer;
	bool stopping;
};

struct http_server {
	struct http_service service;
	struct acceptor acceptor;
	struct engine *engine; /* the one that gets new connections */
	struct list retired;   /* engines that only finish what they have begun */
	unsigned connection_max, idle_s;
	union net_address address;
	struct task resume;   /* hands ANSWERED to the library and lets it run */
	struct list waiting;  /* suspended requests whose handler has not answered */
	struct list answered; /* suspended requests whose answer is ready */
	struct lingers lingers;
	struct log_rate refusals, slow_clients, lost_answers, lost_clients;
	char **why; /* while starting: the library's complaint goes here */
};

/* A daemon of the library: it can't change its certificate, so there is one for each. */
struct engine {
	struct http_server *server;
	struct MHD_Daemon *daemon;
	struct io io;          /* the library's own epoll descriptor */
	struct timer timeout;  /* when the library wants to run next */
	struct list_link link; /* in retired; in none while it gets new connections */
	struct list idle; /* clients without a whole request; the one that waits longest is first */
	unsigned connections;
	unsigned idle_runs; /* consecutive: wanted at once by the library, and serving no request */
};

/* A TCP connection, from accept to close. */
struct client {
	struct engine *engine;
	struct timer deadline;
	struct list_link link; /* in the engine's idle */
	int fd;                /* the library's */
	bool refused;          /* after the headers: a body may still come, which nobody reads */
};

struct http_request {
	struct http_server *server;
	const struct http_service *service;
	struct MHD_Connection *connection;
	struct client *client;
	const struct http_route *route;
	char *path; /* percent-encoded, with the query */
	char *params[HTTP_PARAMS_MAX];
	bool begun;                    /* the headers were judged */
	struct buf body;               /* with a NUL once it is whole */
	json_t *json;                  /* the body, once it was asked for */
	unsigned status;               /* of RESPONSE */
	struct MHD_Response *response; /* NULL: not answered yet */
	struct list_link link;         /* in waiting or answered; in none inside on_request() */
	void *state;
	void (*release)(void *state);
};

/* ---- the library on the loop ---- */

/*
 * Runs the library and asks it when to run next. While a client is slow in a TLS handshake the
 * answer is always "at once", although nothing can be done: progress comes as an event.
 */
static void run(struct engine *engine)
{
	unsigned long long timeout_ms;

	MHD_run(engine->daemon);
	if (MHD_get_timeout(engine->daemon, &timeout_ms) != MHD_YES) {
		timer_stop(&engine->timeout);
		return;
	}
	engine->idle_runs = timeout_ms > 0 ? 0 : engine->idle_runs + 1;
	timer_start(&engine->timeout, engine->idle_runs > IDLE_RUNS ? IDLE_RUN_MS : timeout_ms);
}

static void on_ready(struct io *io, uint32_t events)
{
	run(container_of(io, struct engine, io));
}

static void on_timeout(struct timer *timer)
{
	run(container_of(timer, struct engine, timeout));
}

static void free_engine(struct engine *engine)
{
	io_stop(&engine->io);
	timer_stop(&engine->timeout);
	list_remove(&engine->link);
	MHD_stop_daemon(engine->daemon);
	free(engine);
}

static void run_retired(struct http_server *server)
{
	list_for_each (link, &server->retired) {
		struct engine *engine = container_of(link, struct engine, link);

		run(engine);
		if (engine->connections == 0)
			free_engine(engine);
	}
}

/*
 * Hands the answer to the library. An engine that is retired serves no second request. MHD_NO: the
 * library doesn't take it, and is to close the connection.
 */
static enum MHD_Result queue_answer(struct http_request *request)
{
	char address[NET_TEXT_MAX];

	if (list_linked(&request->client->engine->link))
		http_answer_header(request, "Connection", "close");
	timer_start(&request->client->deadline, ANSWER_MS);
	if (MHD_queue_response(request->connection, request->status, request->response) == MHD_YES)
		return MHD_YES;
	if (log_rate_allows(&request->server->lost_answers))
		log_warn("http-answer-lost route=%s status=%u client=%s",
		         request->route != NULL ? request->route->path : "-", request->status,
		         net_format(http_client_address(request), address));
	return MHD_NO;
}

/* Queues what has been answered; resuming doesn't wake the library's descriptor, so run it. */
static void resume_answered(struct http_server *server)
{
	struct list_link *link;

	while ((link = list_take(&server->answered)) != NULL) {
		struct http_request *request = container_of(link, struct http_request, link);

		queue_answer(request);
		MHD_resume_connection(request->connection);
	}
	run(server->engine);
	run_retired(server);
}

static void on_resume(struct task *task)
{
	resume_answered(container_of(task, struct http_server, resume));
}

static void on_deadline(struct timer *timer)
{
	struct client *client = container_of(timer, struct client, deadline);

	if (log_rate_allows(&client->engine->server->slow_clients))
		log_info("http-client-too-slow fd=%d", client->fd);
	shutdown(client->fd, SHUT_RDWR);
}

/* At its limit the library accepts nobody, so the client that has waited longest is closed. */
static void make_room(struct engine *engine)
{
	struct list_link *link = NULL;

	if (engine->connections >= engine->server->connection_max)
		link = list_take(&engine->idle);
	if (link != NULL)
		shutdown(container_of(link, struct client, link)->fd, SHUT_RDWR);
}

static void end_client(struct client *client)
{
	struct http_server *server = client->engine->server;

	if (client->refused)
		lingers_add(&server->lingers, client->fd);
	timer_stop(&client->deadline);
	list_remove(&client->link);
	client->engine->connections--;
	free(client);
	task_start(&server->resume); /* a retired engine may wait for its last connection */
}

static void on_spoke(struct acceptor *acceptor, int fd, const union net_address *address)
{
	struct http_server *server = container_of(acceptor, struct http_server, acceptor);

	char text[NET_TEXT_MAX];

	/* This exceeds the limit for a moment, until the client that make_room() closed is gone. */
	if (MHD_add_connection(server->engine->daemon, fd, &address->sa, net_length(address)) !=
	            MHD_YES &&
	    log_rate_allows(&server->lost_clients))
		log_warn("http-client-lost client=%s reason=\"%m\"", net_format(address, text));
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
	struct engine *engine = cls;
	struct client *client = *context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		end_client(client);
		return;
	}
	engine->connections++;
	make_room(engine);
	client = mem_alloc(1, sizeof(*client));
	client->fd =
	        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	client->engine = engine;
	client->deadline.expired = on_deadline;
	timer_start(&client->deadline, HEADER_MS);
	list_append(&engine->idle, &client->link);
	*context = client;
}

/* ---- what a request may have ---- */

/* The value of a header as it came (borrowed), the first of several; NULL without one. */
static const char *header(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static void refuse_stopping(struct http_request *request)
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
	const char *shown = header(request, "Authorization");

	if (request->route->open || bearer_matches(&request->service->bearer, shown))
		return;
	http_fail(request, 401, "unauthorized", "a bearer token is needed, and this isn't it");
	http_answer_header(request, "WWW-Authenticate", "Bearer");
}

/*
 * What two parsers of HTTP may read differently, so that a proxy before this server takes for a
 * body what is served here as a request (RFC 9112, section 11.2).
 */
struct framing {
	const char *length; /* borrowed */
	unsigned lengths, hosts, codings;
	bool bad_name;
};

/* A header's name is a token (RFC 9110, section 5.6.2). */
static bool is_token(const char *name)
{
	size_t len = 0;

	while (isalnum((unsigned char)name[len]) ||
	       (name[len] != '\0' && strchr("!#$%&'*+-.^_`|~", name[len]) != NULL))
		len++;
	return len > 0 && name[len] == '\0';
}

static enum MHD_Result add_framing(void *cls, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
	struct framing *framing = cls;

	if (!is_token(name))
		framing->bad_name = true;
	if (strcasecmp(name, "Host") == 0)
		framing->hosts++;
	if (strcasecmp(name, "Transfer-Encoding") == 0)
		framing->codings++;
	if (strcasecmp(name, "Content-Length") == 0) {
		framing->lengths++;
		framing->length = value != NULL ? value : "";
	}
	return MHD_YES;
}

static bool is_number(const char *text)
{
	size_t len = strspn(text, "0123456789");

	return len > 0 && len < 20 && text[len] == '\0';
}

/* What is wrong with the headers, or NULL. Only HTTP/1.0 may lack a Host. */
static const char *framing_fault(const struct http_request *request, const char *version)
{
	struct framing framing = { 0 };

	MHD_get_connection_values(request->connection, MHD_HEADER_KIND, add_framing, &framing);
	if (framing.bad_name)
		return "a header's name has a character that none may have";
	if (framing.lengths > 1)
		return "there is more than one Content-Length";
	if (framing.lengths == 1 && !is_number(framing.length))
		return "the Content-Length isn't a number";
	if (framing.lengths == 1 && framing.codings > 0)
		return "there are both Transfer-Encoding and Content-Length";
	if (framing.hosts > 1)
		return "there is more than one Host";
	if (framing.hosts == 0 && strcmp(version, "HTTP/1.0") != 0)
		return "there is no Host";
	return NULL;
}

/* Where the request ends is doubtful after such a fault, so the connection ends with it. */
static void check_framing(struct http_request *request, const char *version)
{
	const char *fault = framing_fault(request, version);

	if (fault == NULL)
		return;
	http_fail(request, 400, "bad_request", "%s", fault);
	http_answer_header(request, "Connection", "close");
}

/* Checked before the body: in the middle of it the library would drop the client unanswered. */
static void check_body_size(struct http_request *request)
{
	const char *length = header(request, "Content-Length");

	if (header(request, "Transfer-Encoding") != NULL)
		http_fail(request, 411, "length_required", "a body must have a Content-Length");
	else if (length != NULL && strtoull(length, NULL, 10) > request->service->body_max)
		http_fail(request, 413, "too_large", "a body may have %zu bytes",
		          request->service->body_max);
}

/* The headers have come: answers at once what can't be served whatever the body. */
static void judge(struct http_request *request, const char *method, const char *version)
{
	request->begun = true;
	check_framing(request, version);
	if (request->response != NULL)
		return;
	if (request->service->stopping)
		refuse_stopping(request);
	else if (strstr(request->path, "%00") != NULL)
		http_fail(request, 400, "bad_request", "a path or query can't contain a NUL");
	else
		find_route(request, method);
	if (request->response == NULL)
		check_token(request);
	if (request->response == NULL)
		check_body_size(request);
}

/* Hands the request to its handler, now that the body is whole. */
static void call_handler(struct http_request *request)
{
	buf_append(&request->body, "", 1);
	if (request->service->stopping)
		refuse_stopping(request);
	else
		request->route->handle(request);
}

/* Frees REQUEST and what it holds, but not what belongs to the library. */
static void free_request(struct http_request *request)
{
	http_route_free_params(request->params);
	json_decref(request->json);
	buf_release(&request->body);
	free(request->path);
	free(request);
}

/* ---- one request, in the order of its life ---- */

/* The request line has come. The answer is what the library hands to the callbacks below. */
static void *on_request_line(void *cls, const char *uri, struct MHD_Connection *connection)
{
	const struct engine *engine = cls;
	struct http_request *request = mem_alloc(1, sizeof(*request));
	const union MHD_ConnectionInfo *info =
	        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	request->server = engine->server;
	request->service = &engine->server->service;
	request->connection = connection;
	request->client = info->socket_context;
	request->path = mem_dup(uri);
	request->body.max = request->service->body_max + 1;
	return request;
}

/* The body is whole: the handler's turn. */
static void serve(struct http_request *request)
{
	timer_stop(&request->client->deadline);
	list_remove(&request->client->link);
	call_handler(request);
	if (request->response != NULL)
		return;
	MHD_suspend_connection(request->connection);
	list_append(&request->server->waiting, &request->link);
}

/* The library's handler: once with the headers, for each piece of the body, once at its end. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **context)
{
	struct http_request *request = *context;

	((struct engine *)cls)->idle_runs = 0;
	if (request->response != NULL)
		return MHD_NO; /* queue_answer() failed after a suspension */
	if (!request->begun) {
		timer_start(&request->client->deadline, BODY_MS);
		judge(request, method, version);
		request->client->refused = request->response != NULL;
	} else if (*len > 0) {
		if (buf_append(&request->body, data, *len) < 0)
			return MHD_NO;
		*len = 0;
	} else {
		serve(request);
	}
	if (request->response == NULL)
		return MHD_YES;
	return queue_answer(request);
}

/* The answer is out, or the connection has gone: nobody uses the request any more. */
static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
	struct engine *engine = cls;
	struct http_request *request = *context;
	struct client *client = request != NULL ? request->client : NULL;

	if (request == NULL)
		return;
	*context = NULL;
	timer_start(&client->deadline, engine->server->idle_s * 1000ull + HEADER_MS);
	list_remove(&client->link);
	list_append(&engine->idle, &client->link);
	list_remove(&request->link);
	if (request->release != NULL)
		request->release(request->state);
	if (request->response != NULL)
		MHD_destroy_response(request->response);
	free_request(request);
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

	if (body == NULL && status == 200) {
		http_fail(request, 503, "unavailable", "what is stored can't be shown");
		return;
	}
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
			*c = '?'; /* the message may quote bytes that are no UTF-8 */
	if (log_rate_allows(&request->server->refusals))
		log_info("request-refused route=%s status=%u code=%s client=%s",
		         request->route != NULL ? request->route->path : "-", status, code,
		         net_format(http_client_address(request), address));
	http_reply(request, status, json_pack("{s:s, s:s}", "error", code, "message", message));
}

const char *http_query(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

bool http_query_page(struct http_request *request, size_t *limit)
{
	const char *text = http_query(request, "limit");
	char *end;

	*limit = PAGE_DEFAULT;
	if (text == NULL)
		return true;
	*limit = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0' && *limit >= 1 && *limit <= PAGE_MAX)
		return true;
	http_fail(request, 400, "bad_request", "limit: must be from 1 to %d", PAGE_MAX);
	return false;
}

struct header_list {
	const char *name;
	struct buf values;
};

static enum MHD_Result add_value(void *cls, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
	struct header_list *list = cls;

	if (strcasecmp(name, list->name) == 0 && value != NULL)
		buf_printf(&list->values, "%s%s", buf_len(&list->values) > 0 ? ", " : "", value);
	return MHD_YES;
}

char *http_header_list(const struct http_request *request, const char *name)
{
	struct header_list list = { .name = name };

	MHD_get_connection_values(request->connection, MHD_HEADER_KIND, add_value, &list);
	return buf_take(&list.values);
}

const union net_address *http_client_address(const struct http_request *request)
{
	const union MHD_ConnectionInfo *info =
	        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	return (const union net_address *)info->client_addr;
}

void http_reply_text(struct http_request *request, unsigned status, const char *type, char *text)
{
	struct http_server *server = request->server;

	assert(request->response == NULL);
	request->status = status;
	request->response = MHD_create_response_from_buffer(text != NULL ? strlen(text) : 0, text,
	                                                    MHD_RESPMEM_MUST_FREE);
	if (request->response == NULL)
		panic("MHD_create_response_from_buffer");
	if (text != NULL)
		http_answer_header(request, "Content-Type", type);
	if (!list_linked(&request->link))
		return; /* inside on_request(), which queues it */
	list_remove(&request->link);
	list_append(&server->answered, &request->link);
	task_start(&server->resume);
}

void http_answer_header(struct http_request *request, const char *name, const char *value)
{
	/* Without this header the answer may mean something else. */
	if (MHD_add_response_header(request->response, name, value) != MHD_YES)
		panic("MHD_add_response_header %s", name);
}

/* ---- start and stop ---- */

static void on_library_log(void *cls, const char *format, va_list args)
        __attribute__((format(printf, 2, 0)));

static void on_library_log(void *cls, const char *format, va_list args)
{
	struct http_server *server = ((struct engine *)cls)->server;
	char line[200];

	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	if (server->why == NULL)
		log_debug("http-library text=%s", line);
	else if (*server->why == NULL)
		*server->why = mem_dup(line);
}

static struct MHD_Daemon *start_daemon(struct engine *engine, const char *certificate,
                                       const char *key)
{
	const struct http_server *server = engine->server;
	unsigned flags = (certificate != NULL ? MHD_USE_TLS : 0) | MHD_USE_EPOLL |
	                 MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)certificate },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)key },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL },
	};

	if (certificate == NULL)
		tls[0].option = MHD_OPTION_END;
	return MHD_start_daemon(
	        flags, 0, NULL, NULL, on_request, engine, MHD_OPTION_EXTERNAL_LOGGER,
	        on_library_log, engine, MHD_OPTION_CONNECTION_LIMIT,
	        server->connection_max + DISPLACED_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
	        server->idle_s, STRICTNESS, MHD_OPTION_NOTIFY_CONNECTION, on_connection, engine,
	        MHD_OPTION_URI_LOG_CALLBACK, on_request_line, engine, MHD_OPTION_NOTIFY_COMPLETED,
	        on_completed, engine, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

/* NULL with *WHY (heap) when it doesn't start. */
static struct engine *new_engine(struct http_server *server, const char *certificate,
                                 const char *key, char **why)
{
	struct engine *engine = mem_alloc(1, sizeof(*engine));
	int fd;

	*why = NULL;
	engine->server = server;
	engine->io.ready = on_ready;
	engine->timeout.expired = on_timeout;
	list_init(&engine->idle);
	server->why = why;
	engine->daemon = start_daemon(engine, certificate, key);
	server->why = NULL;
	if (engine->daemon == NULL) {
		*why = *why != NULL ? *why : mem_dup("the HTTP library didn't start");
		free(engine);
		return NULL;
	}
	free(*why);
	*why = NULL;
	fd = MHD_get_daemon_info(engine->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	io_insist(&engine->io, fd, EPOLLIN);
	return engine;
}

static struct http_server *prepare(const struct http_server_options *options)
{
	struct http_server *server = mem_alloc(1, sizeof(*server));

	server->service.routes = options->routes;
	server->service.context = options->context;
	server->service.body_max = options->body_max;
	bearer_init(&server->service.bearer, options->token, options->token_also);
	server->connection_max =
	        options->connection_max > 0 ? options->connection_max : CONNECTION_MAX;
	server->idle_s = options->idle_s > 0 ? options->idle_s : IDLE_S;
	list_init(&server->retired);
	list_init(&server->waiting);
	list_init(&server->answered);
	lingers_init(&server->lingers);
	server->refusals.what = "request-refused";
	server->slow_clients.what = "http-client-too-slow";
	server->lost_answers.what = "http-answer-lost";
	server->lost_clients.what = "http-client-lost";
	server->resume.run = on_resume;
	server->acceptor.spoke = on_spoke;
	server->acceptor.tls = options->certificate != NULL;
	server->acceptor.silent_max = server->connection_max;
	return server;
}

struct http_server *http_server_new(const struct http_server_options *options, char **why)
{
	struct http_server *server = prepare(options);

	server->engine = new_engine(server, options->certificate, options->key, why);
	if (server->engine == NULL)
		goto failed;
	if (acceptor_start(&server->acceptor, &options->listen) == 0 &&
	    net_local(server->acceptor.io.fd, &server->address) == 0)
		return server;
	*why = mem_printf("can't listen: %m");
	acceptor_stop(&server->acceptor);
	free_engine(server->engine);
failed:
	free(server);
	return NULL;
}

struct http_server *http_server_listen(struct http_server_options *options, const char *what,
                                       const char *text)
{
	char address[NET_TEXT_MAX], *why = NULL;
	struct http_server *server = NULL;

	if (net_parse(text, &options->listen) == 0)
		server = http_server_new(options, &why);
	if (server == NULL)
		log_error("listen-failed what=%s address=%s reason=\"%s\"", what, text,
		          why != NULL ? why : "not an address and port");
	else
		log_info("listening what=%s address=%s", what,
		         net_format(&server->address, address));
	free(why);
	return server;
}

int http_server_renew(struct http_server *server, const char *certificate, const char *key,
                      char **why)
{
	struct engine *engine = new_engine(server, certificate, key, why);

	if (engine == NULL)
		return -1;
	list_append(&server->retired, &server->engine->link);
	server->engine = engine;
	task_start(&server->resume);
	return 0;
}

const union net_address *http_server_address(const struct http_server *server)
{
	return &server->address;
}

void http_server_free(struct http_server *server)
{
	struct list_link *link;

	if (server == NULL)
		return;
	acceptor_stop(&server->acceptor);
	server->service.stopping = true;
	while ((link = list_first(&server->waiting)) != NULL)
		refuse_stopping(container_of(link, struct http_request, link));
	resume_answered(server);
	free_engine(server->engine);
	while ((link = list_first(&server->retired)) != NULL)
		free_engine(container_of(link, struct engine, link));
	task_stop(&server->resume); /* started by the end of each connection */
	lingers_release(&server->lingers);
	log_rate_end(&server->refusals);
	log_rate_end(&server->slow_clients);
	log_rate_end(&server->lost_answers);
	log_rate_end(&server->lost_clients);
	free(server);
}

const char *http_server_version(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "libmicrohttpd %s", MHD_get_version());
	return text;
}
