#include "xmppgw/component/stream.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/net/tls_client.h"
#include "common/text/hex.h"
#include "xmppgw/xmpp/markup.h"

#define STREAMS_NS "http://etherx.jabber.org/streams"
#define ERRORS_NS "urn:ietf:params:xml:ns:xmpp-streams"

#define ROOM_BYTES (64 * 1024)        /* read in one go */
#define OUTPUT_PAUSE (1024 * 1024)    /* unsent bytes beyond which nothing is read */
#define OUTPUT_MAX (32 * 1024 * 1024) /* unsent bytes beyond which the connection is ended */
#define CONNECT_MS 10000              /* for each address */
#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_INTERVAL_S 10
#define USER_TIMEOUT_MS 30000
#define YIELD_MS 2000    /* for the answers, when another gateway is to have the stream */
#define SILENCE_MS 60000 /* after which a space is sent, so that TCP notices a dead server */

/* How long a reconnection waits: least and most of the backoff, and jitter beyond a fixed wait. */
#define RETRY_LEAST_MS 1000
#define RETRY_MOST_MS 30000
#define RETRY_JITTER_MS 1000
#define REDIRECTS_MAX 3 /* that are followed in a row (RFC 6120 4.9.3.19) */
#define STEADY_MS 10000 /* a stream that was up this long is rebuilt without a wait */

/* Why a connection ended. */
enum end_reason {
	END_NAME,     /* the server's name was not resolved */
	END_CONNECT,  /* no address took the connection */
	END_TLS,      /* the server failed to prove its name, or speaks no TLS */
	END_TIMEOUT,  /* the server didn't send in time what the state waits for */
	END_LOST,     /* the connection broke */
	END_CLOSED,   /* the server closed it */
	END_CONFLICT, /* stream error: another connection has our name */
	END_MOVED,    /* stream error: it is to connect to another host, and will */
	END_REFUSED,  /* stream error: wrong secret or unknown domain */
	END_ERROR,    /* any other stream error */
	END_XML,      /* the server's XML can't be read */
	END_SLOW,     /* the server doesn't read */
	END_REASONS,
};

static const char *const end_names[END_REASONS] = {
	[END_NAME] = "name-not-resolved",
	[END_CONNECT] = "not-connected",
	[END_TLS] = "tls-failed",
	[END_TIMEOUT] = "timed-out",
	[END_LOST] = "connection-lost",
	[END_CLOSED] = "closed",
	[END_CONFLICT] = "conflict",
	[END_MOVED] = "see-other-host",
	[END_REFUSED] = "refused",
	[END_ERROR] = "stream-error",
	[END_XML] = "bad-xml",
	[END_SLOW] = "not-reading",
};

/* The least wait before the next attempt; 0: the backoff alone decides. */
static const uint32_t end_wait_ms[END_REASONS] = {
	[END_CONFLICT] = 5000, /* two gateways with one name must not end each other in a loop */
	[END_REFUSED] = 60000, /* only an operator can change the secret or the domain */
};

static int64_t end_numbers[END_REASONS];
struct metric stream_ends_metric = {
	.name = "outrigger_xmppgw_streams_ended_total",
	.help = "Connections to XMPP servers that ended, by reason.",
	.kind = METRIC_COUNTER,
	.label = "reason",
	.values = end_names,
	.series = END_REASONS,
	.numbers = end_numbers,
};

static void enter(struct stream *stream, enum stream_state state);
static void end(struct stream *stream, enum end_reason reason, const char *detail);
static void take_events(struct stream *stream);
static void try_next(struct stream *stream, int why);

/* ---- the connection ---- */

/* Sets the events to wait for: nothing is read while draining or while much is unsent. */
static void watch(struct stream *stream)
{
	size_t unsent = buf_len(&stream->output);
	bool stops = stream->state == STREAM_UP &&
	             (stream->draining || stream->yielding || unsent > OUTPUT_PAUSE);
	uint32_t events = stops ? EPOLLRDHUP : EPOLLIN;

	if (unsent > 0)
		events |= EPOLLOUT;
	if (events != stream->io.events && io_start(&stream->io, stream->fd, events) != 0)
		end(stream, END_LOST, strerror(errno));
}

/* Sends what the socket takes now; 0, or -1 with errno. */
static int send_out(struct stream *stream)
{
	if (stream->tls != NULL)
		return tls_client_flush(stream->tls, &stream->output);
	return buf_flush(&stream->output, stream->fd);
}

static void flush(struct stream *stream)
{
	if (buf_len(&stream->output) > 0)
		stream->written_ms = loop_now_ms();
	if (send_out(stream) != 0)
		end(stream, END_LOST, strerror(errno));
	else if (buf_len(&stream->output) > OUTPUT_MAX)
		end(stream, END_SLOW, "too much is unsent");
	else
		watch(stream);
}

static void on_flush(struct task *task)
{
	flush(container_of(task, struct stream, flush));
}

static void read_in(struct stream *stream)
{
	void *room = xml_reader_room(stream->reader, ROOM_BYTES);
	ssize_t count = stream->tls != NULL ? tls_client_read(stream->tls, room, ROOM_BYTES)
	                                    : recv(stream->fd, room, ROOM_BYTES, 0);

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count < 0) {
		end(stream, END_LOST, strerror(errno));
	} else if (count == 0) {
		end(stream, END_CLOSED, "end of stream");
	} else {
		xml_reader_fed(stream->reader, (size_t)count);
		take_events(stream);
	}
}

static void on_connected(struct stream *stream)
{
	int error = net_connect_error(stream->fd);

	if (error != 0) {
		try_next(stream, error);
		return;
	}
	net_keepalive(stream->fd, KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S);
	net_user_timeout(stream->fd, USER_TIMEOUT_MS);
	enter(stream, stream->conf->tls ? STREAM_SECURING : STREAM_OPENING);
}

/* Goes on with the handshake of TLS. */
static void secure(struct stream *stream)
{
	const char *why;
	unsigned events;
	int done = tls_client_handshake(stream->tls, &events, &why);

	if (done < 0)
		end(stream, END_TLS, why);
	else if (done > 0)
		enter(stream, STREAM_OPENING);
	else if (io_start(&stream->io, stream->fd, events) != 0)
		end(stream, END_LOST, strerror(errno));
}

static void on_ready(struct io *io, uint32_t events)
{
	struct stream *stream = container_of(io, struct stream, io);

	if (stream->state == STREAM_CONNECTING) {
		on_connected(stream);
		return;
	}
	if (stream->state == STREAM_SECURING) {
		secure(stream);
		return;
	}
	if (events & EPOLLOUT)
		task_start(&stream->flush);
	if ((events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	if (io->events & EPOLLIN)
		do
			read_in(stream);
		while (stream->tls != NULL && tls_client_pending(stream->tls) > 0);
	else
		end(stream, END_CLOSED, "while nothing was read");
}

/* Connects to the next address; WHY is the errno of the attempt before. */
static void try_next(struct stream *stream, int why)
{
	io_stop(&stream->io);
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
	while (stream->address_next < stream->address_count) {
		stream->fd = net_connect(&stream->addresses[stream->address_next++]);
		if (stream->fd >= 0 && io_start(&stream->io, stream->fd, EPOLLOUT) == 0) {
			timer_start(&stream->timer, CONNECT_MS);
			return;
		}
		why = errno;
		if (stream->fd >= 0)
			close(stream->fd);
		stream->fd = -1;
	}
	end(stream, END_CONNECT, strerror(why));
}

static void disconnect(struct stream *stream)
{
	timer_stop(&stream->timer);
	resolve_stop(&stream->resolve);
	task_stop(&stream->flush);
	io_stop(&stream->io);
	tls_client_free(stream->tls);
	stream->tls = NULL;
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
	xml_reader_free(stream->reader);
	stream->reader = NULL;
	buf_release(&stream->output);
}

/* ---- the states ---- */

static void on_resolved(struct resolve *resolve, const union net_address *addresses, size_t count,
                        const char *why)
{
	struct stream *stream = container_of(resolve, struct stream, resolve);

	if (count == 0) {
		end(stream, END_NAME, why);
		return;
	}
	memcpy(stream->addresses, addresses, count * sizeof(*addresses));
	stream->address_count = count;
	stream->address_next = 0;
	enter(stream, STREAM_CONNECTING);
}

static void begin_resolving(struct stream *stream)
{
	const char *server = stream->other_host[0] ? stream->other_host : stream->conf->server;
	char host[NET_HOST_MAX + 1];
	uint16_t port = 0;

	if (net_split(server, host, &port) == 0)
		resolve_start(&stream->resolve, host, port);
}

static void begin_connecting(struct stream *stream)
{
	try_next(stream, 0);
}

/*
 * A server that sent us here is verified by the first one's name (RFC 6120 4.9.3.19). The
 * authorities are read for each connection: their file may have been changed.
 */
static void begin_securing(struct stream *stream)
{
	char host[NET_HOST_MAX + 1] = "";
	const char *why;
	uint16_t port;
	struct ssl_ctx_st *context = tls_client_context(stream->conf->ca_file, &why);

	if (context == NULL) {
		end(stream, END_TLS, why);
		return;
	}
	net_split(stream->conf->server, host, &port);
	stream->tls =
	        tls_client_new(context, stream->fd,
	                       stream->conf->tls_name != NULL ? stream->conf->tls_name : host);
	tls_client_free_context(context);
	secure(stream);
}

static void begin_opening(struct stream *stream)
{
	stream->reader = xml_reader_new();
	markup_add(stream_output(stream),
	           "<?xml version='1.0'?><stream:stream to='%s' xmlns='" COMPONENT_NS
	           "' xmlns:stream='" STREAMS_NS "'",
	           stream->domain);
	buf_text(&stream->output, stream->conf->allow_multiple ? " allowMultiple='true'>" : ">");
	flush(stream);
}

/* XEP-0114 3: lower-case hex of SHA-1 over the stream's id and the secret. */
static void send_handshake(struct stream *stream, const char *id)
{
	unsigned char digest[SHA_DIGEST_LENGTH];
	char hex[2 * SHA_DIGEST_LENGTH + 1];
	char *text = mem_printf("%s%s", id, stream->conf->secret);

	SHA1((unsigned char *)text, strlen(text), digest);
	mem_free_secret(text);
	hex_write(hex, digest, sizeof(digest));
	markup_add(stream_output(stream), "<handshake>%s</handshake>", hex);
}

static void take_header(struct stream *stream, enum xml_event event, const struct xml *header)
{
	const char *id = xml_attribute(header, "id");

	if (!xml_is(header, STREAMS_NS, "stream")) {
		end(stream, END_XML, "this is no XMPP stream");
		return;
	}
	if (id != NULL && id[0] != '\0') /* Prosody: none if a stream error follows */
		send_handshake(stream, id);
	enter(stream, STREAM_AUTHENTICATING);
}

/*
 * Takes HOST, with a port or without one, for the next connection. False if it isn't one, or too
 * many sent us on. RFC 6120 4.9.3.19.
 */
static bool follow(struct stream *stream, const char *host)
{
	char name[NET_HOST_MAX + 1];
	uint16_t port;

	if (++stream->redirects > REDIRECTS_MAX || strlen(host) > NET_HOST_MAX)
		return false;
	if (net_split(host, name, &port) == 0 && port > 0) {
		snprintf(stream->other_host, sizeof(stream->other_host), "%s", host);
		return true;
	}
	if (net_split(stream->conf->server, name, &port) != 0)
		return false;
	snprintf(stream->other_host, sizeof(stream->other_host), "%s:%u", host, port);
	return net_split(stream->other_host, name, &port) == 0;
}

/* RFC 6120 4.9: the server ends the stream and says why. */
static void take_error(struct stream *stream, const struct xml *error)
{
	const struct xml *text = xml_child(error, ERRORS_NS, "text");
	const struct xml *condition = error->first;
	enum end_reason reason = END_ERROR;
	char detail[256];

	while (condition != NULL && condition == text)
		condition = condition->next;
	if (xml_is(condition, ERRORS_NS, "conflict"))
		reason = END_CONFLICT;
	else if (xml_is(condition, ERRORS_NS, "host-unknown") ||
	         xml_is(condition, ERRORS_NS, "not-authorized"))
		reason = END_REFUSED;
	else if (xml_is(condition, ERRORS_NS, "see-other-host"))
		reason = follow(stream, condition->text) ? END_MOVED : END_REFUSED;
	stream->retries_at_once |= reason == END_MOVED;
	snprintf(detail, sizeof(detail), "%s%s%s%s%s",
	         condition == NULL ? "no condition" : condition->name,
	         condition != NULL && condition->text[0] ? " " : "",
	         condition != NULL ? condition->text : "", text != NULL ? ": " : "",
	         text != NULL ? text->text : "");
	end(stream, reason, detail);
}

static void take_handshake(struct stream *stream, enum xml_event event, const struct xml *element)
{
	if (xml_is(element, STREAMS_NS, "error"))
		take_error(stream, element);
	else if (event == XML_STANZA && xml_is(element, COMPONENT_NS, "handshake"))
		enter(stream, STREAM_UP);
	else
		end(stream, END_ERROR, "something else than a handshake came");
}

static void begin_up(struct stream *stream)
{
	char text[NET_TEXT_MAX];

	stream->up_since_ms = loop_now_ms();
	stream->logged_end = -1;
	stream->redirects = 0;
	log_info("stream-up component=%s server=%s", stream->domain,
	         net_format(&stream->addresses[stream->address_next - 1], text));
}

/*
 * XEP-0114 has no acknowledgements, so TCP notices a dead server only when bytes are sent to it. A
 * ping to our own domain could find a server that hangs, too, but where several gateways share a
 * name the pong goes to any of them, and a new connection to a hung server would hang as well.
 */
static void keep_alive(struct stream *stream)
{
	uint64_t silent_ms = loop_now_ms() - stream->written_ms;

	if (stream->yielding) {
		enter(stream, STREAM_CLOSING);
		return;
	}
	if (silent_ms >= SILENCE_MS) {
		buf_text(stream_output(stream), " ");
		silent_ms = 0;
	}
	timer_start(&stream->timer, SILENCE_MS - silent_ms);
}

static void take_stanza(struct stream *stream, enum xml_event event, const struct xml *element)
{
	if (event == XML_STANZA && xml_is(element, STREAMS_NS, "error"))
		take_error(stream, element);
	else
		stream->on_stanza(stream, event, element);
}

static void begin_closing(struct stream *stream)
{
	buf_text(&stream->output, "</stream:stream>");
	flush(stream);
}

static void time_out(struct stream *stream)
{
	end(stream, END_TIMEOUT, stream_state_name(stream));
}

static void resolve_again(struct stream *stream)
{
	enter(stream, STREAM_RESOLVING);
}

static void next_address(struct stream *stream)
{
	try_next(stream, ETIMEDOUT);
}

/* What each state does when it begins, with an element of the stream, and at its timeout. */
/* clang-format off */
static const struct {
	const char *name;
	uint32_t timeout_ms; /* 0: none, or begin sets one */
	void (*begin)(struct stream *stream);
	void (*take)(struct stream *stream, enum xml_event event, const struct xml *element);
	void (*expired)(struct stream *stream);
} states[] = {
	[STREAM_WAITING]        = { "waiting", 0, NULL, NULL, resolve_again },
	[STREAM_STANDBY]        = { "standby", 0, NULL, NULL, NULL },
	[STREAM_RESOLVING]      = { "resolving", 10000, begin_resolving, NULL, time_out },
	[STREAM_CONNECTING]     = { "connecting", 0, begin_connecting, NULL, next_address },
	[STREAM_SECURING]       = { "securing", 10000, begin_securing, NULL, time_out },
	[STREAM_OPENING]        = { "opening", 10000, begin_opening, take_header, time_out },
	[STREAM_AUTHENTICATING] = { "authenticating", 10000, NULL, take_handshake, time_out },
	[STREAM_UP]             = { "up", SILENCE_MS, begin_up, take_stanza, keep_alive },
	[STREAM_CLOSING]        = { "closing", 3000, begin_closing, NULL, time_out },
	[STREAM_OFF]            = { "off", 0, NULL, NULL, NULL },
};
/* clang-format on */

const char *stream_state_name(const struct stream *stream)
{
	return states[stream->state].name;
}

static void enter(struct stream *stream, enum stream_state state)
{
	log_debug("stream-state component=%s from=%s to=%s", stream->domain,
	          stream_state_name(stream), states[state].name);
	stream->state = state;
	timer_stop(&stream->timer);
	if (states[state].timeout_ms > 0)
		timer_start(&stream->timer, states[state].timeout_ms);
	if (states[state].begin != NULL)
		states[state].begin(stream);
	if (stream->state == state) /* the step may have ended in the next one */
		stream->on_change(stream);
}

static void on_expired(struct timer *timer)
{
	struct stream *stream = container_of(timer, struct stream, timer);

	states[stream->state].expired(stream);
}

/* RFC 6120 4.9.1.1: sends the stream error before the close, if the socket takes it at once. */
static void refuse_xml(struct stream *stream)
{
	const char *why = xml_reader_why(stream->reader); /* static text */

	buf_printf(&stream->output,
	           "<stream:error><%s xmlns='" ERRORS_NS "'/></stream:error></stream:stream>", why);
	if (send_out(stream) != 0)
		log_debug("stream-error-unsent component=%s", stream->domain);
	end(stream, END_XML, why);
}

/* Hands the events that have been read to the state, until the connection ends. */
static void take_events(struct stream *stream)
{
	const struct xml *element;

	while (stream->reader != NULL) { /* a step may have ended the connection */
		enum xml_event event = xml_reader_next(stream->reader, &element);

		if (event == XML_MORE) {
			return;
		} else if (event == XML_BAD) {
			refuse_xml(stream);
		} else if (event == XML_END) {
			end(stream, END_CLOSED, "the server closed the stream");
		} else if (states[stream->state].take != NULL) {
			states[stream->state].take(stream, event, element);
		}
	}
}

/* ---- the end of a connection, and the wait for the next one ---- */

/*
 * How many milliseconds to wait after an end for REASON of a stream that was up for UP_MS (0: it
 * never was): none the first time, then 1, 2, 4 to 30 s with jitter, and longer where the server's
 * refusal asks for it.
 */
static uint32_t next_wait(struct stream *stream, enum end_reason reason, uint64_t up_ms)
{
	uint32_t wait_ms;

	if (up_ms >= STEADY_MS) {
		stream->retries_at_once = true;
		backoff_reset(&stream->backoff);
	}
	wait_ms = stream->retries_at_once ? 0 : backoff_next(&stream->backoff);
	stream->retries_at_once = false;
	if (wait_ms < end_wait_ms[reason])
		wait_ms = end_wait_ms[reason] + backoff_random() % RETRY_JITTER_MS;
	return wait_ms;
}

/* Warns once: attempts that fail for the reason that was logged last are told at debug level. */
static void log_end(struct stream *stream, enum end_reason reason, const char *detail,
                    uint64_t up_ms, uint32_t wait_ms)
{
	void (*log)(const char *format, ...) = log_warn;

	if (stream->logged_end == (int)reason)
		log = log_debug;
	log("stream-ended component=%s reason=%s detail=\"%s\" up-ms=%llu retry-ms=%u",
	    stream->domain, end_names[reason], detail, (unsigned long long)up_ms, wait_ms);
	stream->logged_end = (int)reason;
}

static void stand_by(struct stream *stream, bool displaced, uint32_t rest_ms)
{
	stream->displaced = displaced;
	stream->rest_ms = rest_ms;
	stream->yielding = false;
	enter(stream, STREAM_STANDBY);
}

/*
 * The one function that ends a connection. DETAIL may point into what disconnect() frees, so it is
 * logged first.
 */
static void end(struct stream *stream, enum end_reason reason, const char *detail)
{
	uint64_t up_ms = stream->state == STREAM_UP ? loop_now_ms() - stream->up_since_ms : 0;
	bool displaced = stream->state == STREAM_UP && reason == END_CONFLICT;
	uint32_t wait_ms;

	if (stream->draining || stream->yielding) {
		log_info("stream-closed component=%s detail=\"%s\"", stream->domain, detail);
		disconnect(stream);
		if (stream->draining)
			enter(stream, STREAM_OFF);
		else
			stand_by(stream, false, 0);
		return;
	}
	wait_ms = next_wait(stream, reason, up_ms);
	log_end(stream, reason, detail, up_ms, wait_ms);
	end_numbers[reason]++;
	if (reason != END_MOVED) {
		stream->other_host[0] = '\0';
		stream->redirects = 0;
	}
	disconnect(stream);
	if (stream->conf->standby && wait_ms > 0) {
		stand_by(stream, displaced, wait_ms);
	} else {
		enter(stream, STREAM_WAITING);
		timer_start(&stream->timer, wait_ms);
	}
}

void stream_init(struct stream *stream, const struct conf_component *conf)
{
	stream->conf = conf;
	stream->roles = conf_roles(conf);
	jid_domain(conf_domain(conf), stream->domain);
	stream->fd = -1;
	stream->backoff = (struct backoff){ .least_ms = RETRY_LEAST_MS, .most_ms = RETRY_MOST_MS };
	stream->retries_at_once = true;
	stream->logged_end = -1;
	stream->timer.expired = on_expired;
	stream->resolve.done = on_resolved;
	stream->io.ready = on_ready;
	stream->flush.run = on_flush;
}

void stream_configure(struct stream *stream, const struct conf_component *conf)
{
	stream->conf = conf;
	stream->roles = conf_roles(conf);
	if (stream->state != STREAM_WAITING)
		return;
	backoff_reset(&stream->backoff);
	enter(stream, STREAM_RESOLVING);
}

void stream_start(struct stream *stream)
{
	stream->draining = false;
	stream->retries_at_once = true;
	backoff_reset(&stream->backoff);
	if (stream->conf->standby)
		stand_by(stream, false, 0);
	else
		enter(stream, STREAM_RESOLVING);
}

void stream_connect(struct stream *stream)
{
	enter(stream, STREAM_RESOLVING);
}

void stream_yield(struct stream *stream)
{
	bool begins = !stream->yielding;

	stream->yielding = true;
	if (stream->state == STREAM_UP && stream->iq_count == 0) {
		enter(stream, STREAM_CLOSING);
	} else if (stream->state == STREAM_UP && begins) {
		timer_start(&stream->timer, YIELD_MS);
		watch(stream);
	} else if (stream->state < STREAM_UP) {
		disconnect(stream);
		stand_by(stream, false, 0);
	}
}

void stream_stop(struct stream *stream)
{
	disconnect(stream);
	stream->state = STREAM_OFF;
}

void stream_drain(struct stream *stream)
{
	bool begins = !stream->draining;

	stream->draining = true;
	if (stream->state == STREAM_UP && stream->iq_count == 0)
		enter(stream, STREAM_CLOSING);
	else if (stream->state == STREAM_UP && begins)
		watch(stream);
	else if (begins)
		stream_stop(stream);
}

bool stream_is_up(const struct stream *stream)
{
	return stream->state == STREAM_UP;
}

struct buf *stream_output(struct stream *stream)
{
	task_start(&stream->flush);
	return &stream->output;
}

size_t stream_unsent(const struct stream *stream)
{
	return buf_len(&stream->output);
}
