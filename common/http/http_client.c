#include "common/http/http_client.h"

#include <assert.h>
#include <curl/curl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/panic.h"
#include "common/net/net.h"

#define RESPONSE_MAX (64u << 10)
#define CONNECTIONS 16
#define STREAMS 1000
/* Idle transfers that a pool keeps: each has an easy handle of some 6 KB. */
#define IDLE_MAX 256
/* How often libcurl resends a refused stream (REFUSED_STREAM, or above the last of a GOAWAY). */
#define RESENDS_MAX 5
/* Kept HTTP/1.1 connections are closed before http_server's default closes them. */
#define HTTP1_AGE_S 50L
#define HTTP2_AGE_S 86400L
#define ACTION_RETRY_MS 100 /* after libcurl couldn't do what was due */

/* What TLS told of a pool's newest connection; only watched where we have a certificate. */
struct tls_news {
	bool shown; /* our certificate, with its proof */
	bool heard; /* something came behind the handshake */
	int alert;  /* the server's, by its number; 0: none (or the end of the connection) */
};

struct http_pool {
	CURLM *multi;
	struct http_pool_options options; /* with its own strings */
	struct timer timer; /* libcurl sets it for nearly every transfer: it costs no system call */
	struct list transfers; /* all that calls hold */
	struct http_transfer *idle;
	unsigned idle_count;
	unsigned under_way; /* transfers that libcurl has */
	struct tls_news news;
	struct list begun; /* transfers whose requests begin to go out: not traced yet */
	bool draining;     /* a GOAWAY came that the watch hasn't been told of */
	bool collecting;   /* done callbacks may run */
	bool doomed;       /* freed by one of them */
};

/* A request and its answer; the call holds it from http_send() to http_release(). */
struct http_transfer {
	struct http_pool *pool; /* NULL: freed while a finished call held this */
	struct http_call *call;
	CURL *easy;
	bool active;               /* libcurl has it */
	unsigned tries;            /* how often the request has begun to go out */
	unsigned undone;           /* tries that the server didn't process, HTTP/1.1 */
	int local_port;            /* of the connection of the last try */
	enum http_failure failure; /* what our callbacks found */
	struct buf response;
	struct curl_slist *headers; /* an array whose strings are the call's */
	size_t headers_size;
	struct list_link link;
	struct list_link begun;     /* in the pool's list of these */
	struct http_transfer *next; /* while idle */
	char error[CURL_ERROR_SIZE];
};

/* A socket of libcurl's. */
struct watched {
	struct io io;
	struct http_pool *pool;
};

/*
 * An option that isn't set would have the request go elsewhere or without its protection: where
 * memory is gone, or this libcurl lacks the option, there is no going on.
 */
static void check(int code, const char *option)
{
	if (code != 0)
		panic("libcurl refuses %s: %d", option, code);
}

#define set_option(easy, option, value) check(curl_easy_setopt(easy, option, value), #option)
#define set_pool_option(multi, option, value)                                                      \
	check(curl_multi_setopt(multi, option, value), #option)

/* ---- libcurl's questions about a transfer ---- */

static bool speaks_h2(CURL *easy)
{
	const struct curl_tlssessioninfo *session = NULL;
	const unsigned char *protocol;
	unsigned len;

	if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK ||
	    session == NULL || session->backend != CURLSSLBACKEND_OPENSSL ||
	    session->internals == NULL)
		return false;
	SSL_get0_alpn_selected(session->internals, &protocol, &len);
	return len == 2 && memcmp(protocol, "h2", 2) == 0;
}

/* The request goes out next: the last moment to keep it from a wrong server. */
static int before_request(void *data, char *peer, char *local, int peer_port, int local_port)
{
	struct http_transfer *transfer = data;

	if (transfer->pool->options.http2 && !transfer->pool->options.http1_too &&
	    !speaks_h2(transfer->easy)) {
		transfer->failure = HTTP_NOT_H2;
		return CURL_PREREQFUNC_ABORT;
	}
	transfer->tries++;
	transfer->local_port = local_port;
	if (transfer->pool->options.watch != NULL && !list_linked(&transfer->begun))
		list_append(&transfer->pool->begun, &transfer->begun);
	return CURL_PREREQFUNC_OK;
}

/*
 * libcurl has no function that tells of a GOAWAY, but its trace does, with the transfer that
 * happened to read the socket. It is traced from when its request has gone out, since before that
 * each header would be a line; and before it reads anything, which it does in the same turn. TLS
 * tells of both.
 */
static int on_trace(CURL *easy, curl_infotype type, char *data, size_t size, void *context)
{
	struct http_transfer *transfer = context;

	if (type == CURLINFO_TEXT && memmem(data, size, " GOAWAY", 7) != NULL)
		transfer->pool->draining = true;
	return 0;
}

static void trace_begun(struct http_pool *pool)
{
	struct list_link *link;

	while ((link = list_take(&pool->begun)) != NULL)
		set_option(container_of(link, struct http_transfer, begun)->easy, CURLOPT_VERBOSE,
		           1L);
}

/*
 * True when the process at the other end of FD, which ends the connection, can't have read all that
 * we sent: its kernel resets a connection that is closed with unread bytes, or that bytes
 * come to after that; or it closed before our last bytes reached it.
 */
static bool was_unread(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       (info.tcpi_state == TCP_CLOSE ||
	        (info.tcpi_state == TCP_CLOSE_WAIT && info.tcpi_unacked > 0));
}

static int port_of(int fd)
{
	union net_address local;

	return net_local(fd, &local) == 0 ? net_port(&local) : -1;
}

/*
 * A connection is closed. libcurl 7.88 uses kept ones that the server has closed already, sends the
 * request again on the next one, and doesn't tell what became of the first.
 */
static int on_close(void *data, curl_socket_t fd)
{
	struct http_pool *pool = data;
	int port = was_unread(fd) ? port_of(fd) : -1;

	for (struct list_link *link = pool->transfers.head.next;
	     port > 0 && link != &pool->transfers.head; link = link->next) {
		struct http_transfer *transfer = container_of(link, struct http_transfer, link);

		if (!transfer->active || transfer->local_port != port)
			continue;
		transfer->undone++;
		transfer->local_port = 0;
	}
	return close(fd);
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct http_transfer *transfer = context;

	if (buf_append(&transfer->response, data, size * count) == 0)
		return size * count;
	transfer->failure = HTTP_TOO_LARGE;
	return CURL_WRITEFUNC_ERROR;
}

/* ---- whether the server takes our certificate ---- */

/* TLS has written or read TYPE of a record: its header, or what is in it (LEN bytes of DATA). */
static void note_news(struct tls_news *news, const SSL *tls, int written, int type,
                      const void *data, size_t len)
{
	/* In TLS 1.3 the record's own type is within what is encrypted. */
	int typed =
	        SSL_version(tls) == TLS1_3_VERSION ? SSL3_RT_INNER_CONTENT_TYPE : SSL3_RT_HEADER;
	const unsigned char *bytes = data;

	if (len == 0)
		return;
	if (written && type == SSL3_RT_HANDSHAKE && bytes[0] == SSL3_MT_CERTIFICATE_VERIFY)
		news->shown = true;
	else if (!written && type == SSL3_RT_ALERT && len == 2)
		news->alert = bytes[1];
	else if (!written && type == typed && bytes[0] == SSL3_RT_APPLICATION_DATA)
		news->heard = true;
}

/* OpenSSL's msg_callback. What was read isn't deciphered yet at its header. */
static void on_tls_message(int written, int version, int type, const void *data, size_t len,
                           SSL *tls, void *context)
{
	struct http_pool *pool = context;

	if (type == SSL3_RT_HEADER)
		trace_begun(pool);
	if (pool->options.certificate != NULL)
		note_news(&pool->news, tls, written, type, data, len);
}

/* A connection of the pool begins with TLS. */
static CURLcode on_tls_context(CURL *easy, void *tls, void *data)
{
	struct http_pool *pool = data;

	pool->news = (struct tls_news){ 0 };
	SSL_CTX_set_msg_callback(tls, on_tls_message);
	SSL_CTX_set_msg_callback_arg(tls, pool);
	return CURLE_OK;
}

/* True if the server's alert is about our certificate. */
static bool refused(const struct tls_news *news)
{
	switch (news->alert) {
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
	case SSL_AD_CERTIFICATE_REQUIRED:
		return true;
	case SSL_AD_HANDSHAKE_FAILURE: /* also that no cipher is shared: before the certificate */
	case SSL_AD_DECRYPT_ERROR:
		return news->shown && !news->heard;
	default:
		return false;
	}
}

/* ---- what became of a transfer ---- */

static enum http_failure judge(const struct http_transfer *transfer, CURLcode code, long status)
{
	if (transfer->failure != HTTP_OK)
		return transfer->failure;
	/* A truncated body is no failure: the status was read. 7.88 calls some whole ones so. */
	if (code == CURLE_OK || (transfer->tries > 0 && status >= 200))
		return HTTP_OK;
	if (refused(&transfer->pool->news))
		return HTTP_CERTIFICATE;
	if (transfer->tries > 0 && transfer->undone == transfer->tries)
		return HTTP_UNREACHABLE;
	if (transfer->tries > 0 && code == CURLE_OPERATION_TIMEDOUT)
		return HTTP_TIMED_OUT;
	if (transfer->tries > 0)
		return transfer->pool->options.http2 && transfer->tries > RESENDS_MAX ? HTTP_REFUSED
		                                                                      : HTTP_BROKEN;
	switch (code) {
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return HTTP_UNTRUSTED;
	default:
		return HTTP_UNREACHABLE;
	}
}

/* True if a transfer that ended with CODE lost its connection where our certificate was read. */
static bool closed_at_certificate(const struct http_transfer *transfer, CURLcode code)
{
	const struct tls_news *news = &transfer->pool->news;
	enum http_failure failure = transfer->call->failure;

	return news->shown && !news->heard && news->alert == 0 &&
	       code != CURLE_OPERATION_TIMEDOUT &&
	       (failure == HTTP_UNREACHABLE || failure == HTTP_UNTRUSTED || failure == HTTP_BROKEN);
}

static void complete(struct http_transfer *transfer, CURLcode code)
{
	struct http_call *call = transfer->call;
	const char *text = curl_easy_strerror(code);
	long status = 0;

	/* libcurl's error quotes a proxy URL that it can't read, and with it the password. */
	if (transfer->error[0] != '\0' && code != CURLE_COULDNT_RESOLVE_PROXY)
		text = transfer->error;
	if (transfer->tries > 0)
		check(curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status),
		      "CURLINFO_RESPONSE_CODE");
	curl_multi_remove_handle(transfer->pool->multi, transfer->easy);
	transfer->active = false;
	transfer->pool->under_way--;
	call->failure = judge(transfer, code, status);
	if (call->failure == HTTP_CERTIFICATE)
		text = SSL_alert_desc_string_long(transfer->pool->news.alert);
	call->at_certificate = closed_at_certificate(transfer, code);
	call->status = (unsigned)status;
	call->response_len = buf_len(&transfer->response);
	transfer->response.max = 0;
	buf_append(&transfer->response, "", 1);
	call->response = buf_data(&transfer->response);
	snprintf(call->error, sizeof(call->error), "%.127s", call->failure != HTTP_OK ? text : "");
	call->done(call);
}

static CURL *new_easy(const struct http_pool_options *options);

/* Has libcurl look again whether what waits for a connection may have one. */
static void wake_pending(struct http_pool *pool)
{
	CURL *easy = new_easy(&pool->options);

	if (curl_multi_add_handle(pool->multi, easy) == CURLM_OK)
		curl_multi_remove_handle(pool->multi, easy);
	curl_easy_cleanup(easy);
}

/*
 * The connection that drains counts as one until it ends; without another one all that it has
 * refused would wait for that.
 */
static void tell_draining(struct http_pool *pool)
{
	unsigned connections = pool->options.connections;

	pool->draining = false;
	set_pool_option(pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	                2L * (long)(connections > 0 ? connections : CONNECTIONS));
	pool->options.watch->draining(pool->options.watch);
	if (!pool->doomed)
		wake_pending(pool);
}

static void destroy_pool(struct http_pool *pool);

static void collect(struct http_pool *pool)
{
	struct http_transfer *transfer;
	CURLMsg *message;
	int left;

	pool->collecting = true;
	trace_begun(pool);
	while ((message = curl_multi_info_read(pool->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		check(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer),
		      "CURLINFO_PRIVATE");
		complete(transfer, message->data.result);
	}
	if (pool->draining && !pool->doomed)
		tell_draining(pool);
	pool->collecting = false;
	if (pool->doomed)
		destroy_pool(pool);
}

/* ---- libcurl on the loop ---- */

static void on_socket_ready(struct io *io, uint32_t events)
{
	struct http_pool *pool = container_of(io, struct watched, io)->pool;
	int action = (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
	             (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
	             (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
	int running;

	curl_multi_socket_action(pool->multi, io->fd, action, &running);
	collect(pool);
}

static void on_timer(struct timer *timer)
{
	struct http_pool *pool = container_of(timer, struct http_pool, timer);
	int running;

	if (curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running) != CURLM_OK)
		timer_start(timer, ACTION_RETRY_MS);
	collect(pool);
}

static int on_timer_change(CURLM *multi, long timeout_ms, void *data)
{
	struct http_pool *pool = data;

	if (timeout_ms < 0)
		timer_stop(&pool->timer);
	else
		timer_start(&pool->timer, (uint64_t)timeout_ms);
	return 0;
}

static int on_socket_change(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	struct http_pool *pool = data;
	struct watched *watched = socket_data;

	if (what == CURL_POLL_REMOVE) {
		if (watched != NULL)
			io_stop(&watched->io);
		free(watched);
		return 0;
	}
	if (watched == NULL) {
		watched = mem_alloc(1, sizeof(*watched));
		watched->io.ready = on_socket_ready;
		watched->pool = pool;
		curl_multi_assign(pool->multi, fd, watched);
	}
	io_insist(&watched->io, fd,
	          (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0));
	return 0;
}

/* ---- transfers ---- */

static void set_blob(CURL *easy, CURLoption option, const char *pem)
{
	struct curl_blob blob = {
		.data = (void *)pem,
		.len = pem != NULL ? strlen(pem) : 0,
		.flags = CURL_BLOB_NOCOPY,
	};

	if (pem != NULL)
		check(curl_easy_setopt(easy, option, &blob), "a certificate or key");
}

/* What all requests of the pool have in common. */
static CURL *new_easy(const struct http_pool_options *options)
{
	CURL *easy = curl_easy_init();

	if (easy == NULL)
		panic("curl_easy_init");
	set_option(easy, CURLOPT_NOSIGNAL, 1L);
	set_option(easy, CURLOPT_QUICK_EXIT, 1L); /* or ending one waits for its look-up */
	set_option(easy, CURLOPT_FOLLOWLOCATION, 0L);
	/* "" is none, not even that of the environment. */
	set_option(easy, CURLOPT_PROXY, options->proxy != NULL ? options->proxy : "");
	set_option(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	set_option(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	set_option(easy, CURLOPT_BUFFERSIZE, 4096L);
	set_option(easy, CURLOPT_MAXAGE_CONN, options->http2 ? HTTP2_AGE_S : HTTP1_AGE_S);
	set_option(easy, CURLOPT_PIPEWAIT, options->http2 ? 1L : 0L);
	set_option(easy, CURLOPT_PROTOCOLS_STR, options->http2 ? "https" : "http,https");
	set_option(easy, CURLOPT_HTTP_VERSION,
	           options->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
	set_option(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (options->ca_file != NULL)
		set_option(easy, CURLOPT_CAINFO, options->ca_file);
	set_blob(easy, CURLOPT_SSLCERT_BLOB, options->certificate);
	set_blob(easy, CURLOPT_SSLKEY_BLOB, options->key);
	set_option(easy, CURLOPT_WRITEFUNCTION, on_body);
	set_option(easy, CURLOPT_PREREQFUNCTION, before_request);
	return easy;
}

static struct http_transfer *new_transfer(struct http_pool *pool)
{
	struct http_transfer *transfer = mem_alloc(1, sizeof(*transfer));

	transfer->easy = new_easy(&pool->options);
	set_option(transfer->easy, CURLOPT_PRIVATE, transfer);
	set_option(transfer->easy, CURLOPT_WRITEDATA, transfer);
	set_option(transfer->easy, CURLOPT_PREREQDATA, transfer);
	set_option(transfer->easy, CURLOPT_ERRORBUFFER, transfer->error);
	if (pool->options.certificate != NULL || pool->options.watch != NULL) {
		set_option(transfer->easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
		set_option(transfer->easy, CURLOPT_SSL_CTX_DATA, pool);
	}
	if (!pool->options.http2) {
		set_option(transfer->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
		set_option(transfer->easy, CURLOPT_CLOSESOCKETDATA, pool);
	}
	set_option(transfer->easy, CURLOPT_DEBUGFUNCTION, on_trace);
	set_option(transfer->easy, CURLOPT_DEBUGDATA, transfer);
	return transfer;
}

static void free_transfer(struct http_transfer *transfer)
{
	curl_easy_cleanup(transfer->easy);
	buf_release(&transfer->response);
	free(transfer->headers);
	free(transfer);
}

static struct http_transfer *take_transfer(struct http_pool *pool)
{
	struct http_transfer *transfer = pool->idle;

	if (transfer != NULL) {
		pool->idle = transfer->next;
		pool->idle_count--;
	} else {
		transfer = new_transfer(pool);
	}
	transfer->pool = pool;
	list_append(&pool->transfers, &transfer->link);
	return transfer;
}

static void add_header(struct http_transfer *transfer, size_t n, const char *header)
{
	transfer->headers[n].data = (char *)header;
	transfer->headers[n].next = NULL;
	if (n > 0)
		transfer->headers[n - 1].next = &transfer->headers[n];
}

/* libcurl's own Expect, Accept and Content-Type are left out; the call's strings aren't copied. */
static void set_headers(struct http_transfer *transfer, const char *const *headers)
{
	static const char type[] = "Content-Type:";
	bool typed = false;
	size_t n = 0, count = 3;

	while (headers != NULL && headers[count - 3] != NULL)
		count++;
	if (count > transfer->headers_size) {
		transfer->headers =
		        mem_resize(transfer->headers, count, sizeof(*transfer->headers));
		transfer->headers_size = count;
	}
	for (; headers != NULL && headers[n] != NULL; n++) {
		typed |= strncasecmp(headers[n], type, sizeof(type) - 1) == 0;
		add_header(transfer, n, headers[n]);
	}
	add_header(transfer, n++, "Expect:");
	add_header(transfer, n++, "Accept:");
	if (!typed)
		add_header(transfer, n++, type);
	set_option(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
}

static void set_method(CURL *easy, const struct http_call *call)
{
	bool post = strcmp(call->method, "POST") == 0, get = strcmp(call->method, "GET") == 0;

	if (post || call->body != NULL) {
		set_option(easy, CURLOPT_POST, 1L);
		set_option(easy, CURLOPT_POSTFIELDS, call->body != NULL ? call->body : "");
		set_option(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
	} else if (strcmp(call->method, "HEAD") == 0) {
		set_option(easy, CURLOPT_NOBODY, 1L);
		get = true;
	} else {
		set_option(easy, CURLOPT_HTTPGET, 1L);
	}
	set_option(easy, CURLOPT_CUSTOMREQUEST,
	           post || (get && call->body == NULL) ? NULL : call->method);
}

void http_send(struct http_pool *pool, struct http_call *call)
{
	struct http_transfer *transfer;

	assert(call->timeout_ms > 0);
	assert(call->transfer == NULL || !call->transfer->active);
	http_release(call);
	transfer = take_transfer(pool);
	call->transfer = transfer;
	transfer->call = call;
	transfer->tries = transfer->undone = 0;
	transfer->local_port = 0;
	transfer->failure = HTTP_OK;
	transfer->error[0] = '\0';
	transfer->response.max = call->response_max > 0 ? call->response_max : RESPONSE_MAX;
	set_method(transfer->easy, call);
	set_headers(transfer, call->headers);
	set_option(transfer->easy, CURLOPT_URL, call->url);
	set_option(transfer->easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
	set_option(transfer->easy, CURLOPT_VERBOSE, 0L);
	transfer->active = true;
	/* What was told of a connection that is gone says nothing of the next one. */
	if (pool->under_way++ == 0)
		pool->news = (struct tls_news){ 0 };
	if (curl_multi_add_handle(pool->multi, transfer->easy) != CURLM_OK)
		panic("curl_multi_add_handle");
}

void http_release(struct http_call *call)
{
	struct http_transfer *transfer = call->transfer;
	struct http_pool *pool;

	if (transfer == NULL)
		return;
	pool = transfer->pool;
	call->transfer = NULL;
	list_remove(&transfer->link);
	list_remove(&transfer->begun);
	if (transfer->active) {
		curl_multi_remove_handle(pool->multi, transfer->easy);
		transfer->active = false;
		pool->under_way--;
	}
	if (pool == NULL || pool->doomed || pool->idle_count >= IDLE_MAX) {
		free_transfer(transfer);
		return;
	}
	buf_release(&transfer->response);
	transfer->next = pool->idle;
	pool->idle = transfer;
	pool->idle_count++;
}

bool http_begun(const struct http_call *call)
{
	return call->transfer != NULL && call->transfer->tries > 0;
}

const char *http_response_header(struct http_call *call, const char *name)
{
	struct curl_header *header;

	if (call->transfer == NULL || call->transfer->active ||
	    curl_easy_header(call->transfer->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

/* ---- pools ---- */

struct http_pool *http_pool_new(const struct http_pool_options *options)
{
	static bool initialised;
	struct http_pool *pool = mem_alloc(1, sizeof(*pool));

	if (!initialised && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		panic("curl_global_init");
	initialised = true;
	pool->options = *options;
	pool->options.ca_file = mem_dup(options->ca_file);
	pool->options.certificate = mem_dup(options->certificate);
	pool->options.key = mem_dup(options->key);
	pool->options.proxy = mem_dup(options->proxy);
	list_init(&pool->transfers);
	list_init(&pool->begun);
	pool->timer.expired = on_timer;
	pool->multi = curl_multi_init();
	if (pool->multi == NULL)
		panic("curl_multi_init");
	set_pool_option(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket_change);
	set_pool_option(pool->multi, CURLMOPT_SOCKETDATA, pool);
	set_pool_option(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer_change);
	set_pool_option(pool->multi, CURLMOPT_TIMERDATA, pool);
	set_pool_option(pool->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	set_pool_option(pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	                (long)(options->connections > 0 ? options->connections : CONNECTIONS));
	set_pool_option(pool->multi, CURLMOPT_MAX_CONCURRENT_STREAMS,
	                (long)(options->streams > 0 ? options->streams : STREAMS));
	return pool;
}

static void destroy_pool(struct http_pool *pool)
{
	struct http_transfer *transfer;

	while ((transfer = pool->idle) != NULL) {
		pool->idle = transfer->next;
		free_transfer(transfer);
	}
	curl_multi_cleanup(pool->multi);
	timer_stop(&pool->timer);
	free((char *)pool->options.ca_file);
	free((char *)pool->options.certificate);
	mem_free_secret((char *)pool->options.key);
	mem_free_secret((char *)pool->options.proxy);
	free(pool);
}

/* Unfinished calls lose their transfer; finished calls keep it, and with it their response. */
void http_pool_free(struct http_pool *pool)
{
	if (pool == NULL)
		return;
	pool->doomed = true;
	list_for_each (link, &pool->transfers) {
		struct http_transfer *transfer = container_of(link, struct http_transfer, link);

		if (transfer->active) {
			http_release(transfer->call);
		} else {
			list_remove(&transfer->link);
			transfer->pool = NULL;
		}
	}
	if (!pool->collecting)
		destroy_pool(pool);
}

const char *http_failure_name(enum http_failure failure)
{
	static const char *const names[] = {
		[HTTP_OK] = "ok",
		[HTTP_UNREACHABLE] = "unreachable",
		[HTTP_NOT_H2] = "not-h2",
		[HTTP_UNTRUSTED] = "untrusted",
		[HTTP_CERTIFICATE] = "certificate-refused",
		[HTTP_TIMED_OUT] = "timed-out",
		[HTTP_BROKEN] = "broken",
		[HTTP_REFUSED] = "refused",
		[HTTP_TOO_LARGE] = "too-large",
	};

	return names[failure];
}

const char *http_client_version(void)
{
	return curl_version();
}
