#include "common/http_server.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/bearer.h"
#include "common/http_request.h"
#include "common/linger.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"

/* A byte a second outlives the library's own timeout, so each stage has a deadline besides. */
#define HEADER_MS 10000
#define BODY_MS 30000
#define ANSWER_MS 60000
#define IDLE_S 60
#define CONNECTION_MAX 1000

struct http_server {
	struct MHD_Daemon *daemon;
	const struct http_route *routes;
	void *context;
	size_t body_max;
	unsigned idle_s;
	bool stopping;
	struct bearer bearer;
	union net_address address;
	struct io io;         /* the library's own epoll descriptor */
	struct timer timeout; /* when the library wants to run next */
	struct task resume;   /* hands ANSWERED to the library and lets it run */
	struct list waiting;  /* suspended requests whose handler has not answered */
	struct list answered; /* suspended requests whose answer is ready */
	struct lingers lingers;
	char **why; /* while starting: the library's complaint goes here */
};

/* A TCP connection, from accept to close. */
struct client {
	struct timer deadline;
	int fd; /* the library's */
	unsigned idle_s;
	bool refused; /* with the headers alone: there may be more to come that nobody reads */
};

/* ---- the library on the loop ---- */

/* Lets the library work, and asks it when it wants to work again: both change with every step. */
static void run(struct http_server *server)
{
	unsigned long long timeout_ms;

	MHD_run(server->daemon);
	if (MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES)
		timer_start(&server->timeout, timeout_ms);
	else
		timer_stop(&server->timeout);
}

static void on_ready(struct io *io, uint32_t events)
{
	run(container_of(io, struct http_server, io));
}

static void on_timeout(struct timer *timer)
{
	run(container_of(timer, struct http_server, timeout));
}

/* Queues what has been answered; resuming doesn't wake the library's descriptor, so run it. */
static void resume_answered(struct http_server *server)
{
	struct list_link *link;

	while ((link = list_take(&server->answered)) != NULL) {
		struct http_request *request = container_of(link, struct http_request, link);

		timer_start(&request->client->deadline, ANSWER_MS);
		MHD_queue_response(request->connection, request->status, request->response);
		MHD_resume_connection(request->connection);
	}
	run(server);
}

static void on_resume(struct task *task)
{
	resume_answered(container_of(task, struct http_server, resume));
}

static void on_deadline(struct timer *timer)
{
	struct client *client = container_of(timer, struct client, deadline);

	log_info("http-client-too-slow fd=%d", client->fd);
	shutdown(client->fd, SHUT_RDWR);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
	struct http_server *server = cls;
	struct client *client = *context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (client->refused)
			lingers_add(&server->lingers, client->fd);
		timer_stop(&client->deadline);
		free(client);
		task_start(&server->resume); /* at its limit it only accepts again once it runs */
		return;
	}
	client = mem_alloc(1, sizeof(*client));
	client->fd =
	        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	client->idle_s = server->idle_s;
	client->deadline.expired = on_deadline;
	timer_start(&client->deadline, HEADER_MS);
	*context = client;
}

/* ---- one request, in the order of its life ---- */

/* The request line has come. The answer is what the library hands to the callbacks below. */
static void *on_request_line(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct http_request *request = mem_alloc(1, sizeof(*request));
	const union MHD_ConnectionInfo *info =
	        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	request->server = cls;
	request->connection = connection;
	request->client = info->socket_context;
	request->path = mem_dup(uri);
	request->body.max = request->server->body_max + 1;
	return request;
}

static const char *find_header(const struct http_request *request, const char *name)
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
	request->route = http_route_find(request->server->routes, method, request->path,
	                                 request->params, &allow);
	if (request->route == NULL && buf_len(&allow) == 0) {
		http_fail(request, 404, "not_found", "there is nothing at this path");
	} else if (request->route == NULL) {
		buf_append(&allow, "", 1);
		http_fail(request, 405, "method_not_allowed", "only %s here", buf_data(&allow));
		MHD_add_response_header(request->response, "Allow", buf_data(&allow));
	}
	buf_release(&allow);
}

static void check_token(struct http_request *request)
{
	const char *shown = find_header(request, "Authorization");

	if (request->route->open || bearer_matches(&request->server->bearer, shown))
		return;
	http_fail(request, 401, "unauthorized", "a bearer token is needed, and this isn't it");
	MHD_add_response_header(request->response, "WWW-Authenticate", "Bearer");
}

/* Refused now, not in mid-body, where the library would drop the client without an answer. */
static void check_body_size(struct http_request *request)
{
	const char *length = find_header(request, "Content-Length");

	if (find_header(request, "Transfer-Encoding") != NULL)
		http_fail(request, 411, "length_required", "a body must have a Content-Length");
	else if (length != NULL && strtoull(length, NULL, 10) > request->server->body_max)
		http_fail(request, 413, "too_large", "a body may have %zu bytes",
		          request->server->body_max);
}

/* The headers have come: answers at once what can't be served whatever the body. */
static void judge_headers(struct http_request *request, const char *method)
{
	request->begun = true;
	timer_start(&request->client->deadline, BODY_MS);
	if (request->server->stopping)
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

/* The body is whole: the handler's turn. */
static void serve(struct http_request *request)
{
	timer_stop(&request->client->deadline);
	buf_append(&request->body, "", 1);
	if (request->server->stopping)
		refuse_stopping(request);
	else
		request->route->handle(request);
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

	if (!request->begun) {
		judge_headers(request, method);
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
	timer_start(&request->client->deadline, ANSWER_MS);
	return MHD_queue_response(connection, request->status, request->response);
}

/* The answer is out, or the connection has gone: nobody uses the request any more. */
static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
	struct http_request *request = *context;

	if (request == NULL)
		return;
	*context = NULL;
	timer_start(&request->client->deadline, request->client->idle_s * 1000ull + HEADER_MS);
	list_remove(&request->link);
	if (request->release != NULL)
		request->release(request->state);
	if (request->response != NULL)
		MHD_destroy_response(request->response);
	http_route_free_params(request->params);
	json_decref(request->json);
	buf_release(&request->body);
	free(request->path);
	free(request);
}

/* ---- for handlers ---- */

void *http_context(const struct http_request *request)
{
	return request->server->context;
}

const char *http_query(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
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
	assert(request->response != NULL);
	if (text != NULL)
		MHD_add_response_header(request->response, "Content-Type", type);
	if (!list_linked(&request->link))
		return; /* inside on_request(), which queues it */
	list_remove(&request->link);
	list_append(&server->answered, &request->link);
	task_start(&server->resume);
}

/* ---- start and stop ---- */

static void on_library_log(void *cls, const char *format, va_list args)
        __attribute__((format(printf, 2, 0)));

static void on_library_log(void *cls, const char *format, va_list args)
{
	struct http_server *server = cls;
	char line[200];

	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	if (server->why == NULL)
		log_debug("http-library text=%s", line);
	else if (*server->why == NULL)
		*server->why = mem_dup(line);
}

static struct MHD_Daemon *start_daemon(struct http_server *server,
                                       const struct http_server_options *options, int fd)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	unsigned most = options->connection_max > 0 ? options->connection_max : CONNECTION_MAX;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->certificate },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->key },
		{ MHD_OPTION_END, 0, NULL },
	};

	if (options->certificate != NULL)
		flags |= MHD_USE_TLS;
	else
		tls[0].option = MHD_OPTION_END;
	return MHD_start_daemon(
	        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER,
	        on_library_log, server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
	        most, MHD_OPTION_CONNECTION_TIMEOUT, server->idle_s, MHD_OPTION_NOTIFY_CONNECTION,
	        on_connection, server, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, server,
	        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_ARRAY, tls,
	        MHD_OPTION_END);
}

static struct http_server *prepare(const struct http_server_options *options)
{
	struct http_server *server = mem_alloc(1, sizeof(*server));

	server->routes = options->routes;
	server->context = options->context;
	server->body_max = options->body_max;
	server->idle_s = options->idle_s > 0 ? options->idle_s : IDLE_S;
	bearer_init(&server->bearer, options->token);
	list_init(&server->waiting);
	list_init(&server->answered);
	lingers_init(&server->lingers);
	server->io.ready = on_ready;
	server->timeout.expired = on_timeout;
	server->resume.run = on_resume;
	return server;
}

struct http_server *http_server_new(const struct http_server_options *options, char **why)
{
	struct http_server *server = prepare(options);
	int fd = net_listen(&options->listen, SOMAXCONN);

	*why = NULL;
	if (fd < 0 || net_local(fd, &server->address) < 0) {
		*why = mem_printf("can't listen: %m");
		goto failed;
	}
	server->why = why;
	server->daemon = start_daemon(server, options, fd); /* closes FD if it fails */
	server->why = NULL;
	if (server->daemon == NULL) {
		if (*why == NULL)
			*why = mem_dup("the HTTP library didn't start");
		goto failed;
	}
	free(*why);
	*why = NULL;
	fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	if (io_start(&server->io, fd, EPOLLIN) < 0)
		abort();
	run(server);
	return server;
failed:
	free(server);
	return NULL;
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
	server->stopping = true;
	while ((link = list_first(&server->waiting)) != NULL)
		refuse_stopping(container_of(link, struct http_request, link));
	resume_answered(server);
	io_stop(&server->io);
	timer_stop(&server->timeout);
	MHD_stop_daemon(server->daemon);
	task_stop(&server->resume); /* started by the end of each connection */
	lingers_release(&server->lingers);
	free(server);
}

const char *http_server_version(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "libmicrohttpd %s", MHD_get_version());
	return text;
}
