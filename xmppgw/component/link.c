#include "xmppgw/component/link.h"

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
#include "xmppgw/route.h"
#include "xmppgw/xmpp/markup.h"

#define STREAMS_NS "http://etherx.jabber.org/streams"
#define ERRORS_NS "urn:ietf:params:xml:ns:xmpp-streams"

#define ROOM_BYTES (64 * 1024)        /* read in one go */
#define OUTPUT_PAUSE (1024 * 1024)    /* unsent bytes beyond which nothing is read */
#define OUTPUT_MAX (32 * 1024 * 1024) /* unsent bytes beyond which the link is given up */
#define CONNECT_MS 10000              /* for each address */
#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_INTERVAL_S 10
#define USER_TIMEOUT_MS 30000
#define SILENCE_MS 60000 /* then a space is sent, so that a dead peer is noticed */

static struct metric up_metric = {
	.name = "outrigger_xmppgw_link_up",
	.help = "1 while the component's stream is up.",
	.kind = METRIC_GAUGE,
	.label = "component",
};

static void enter(struct link *link, enum link_state state);
static void end(struct link *link, enum outage_reason reason, const char *detail);
static void take_events(struct link *link);
static void try_next(struct link *link, int why);

/* ---- the connection ---- */

/* Watches for what the link can use now: while much is unsent, or draining, it reads nothing. */
static void watch(struct link *link)
{
	size_t unsent = buf_len(&link->output);
	bool stops = link->state == LINK_UP && (link->draining || unsent > OUTPUT_PAUSE);
	uint32_t events = stops ? EPOLLRDHUP : EPOLLIN;

	if (unsent > 0)
		events |= EPOLLOUT;
	if (events != link->io.events && io_start(&link->io, link->fd, events) != 0)
		end(link, OUTAGE_LOST, strerror(errno));
}

static void flush(struct link *link)
{
	if (buf_len(&link->output) > 0)
		link->written_ms = loop_now_ms();
	if (buf_flush(&link->output, link->fd) != 0)
		end(link, OUTAGE_LOST, strerror(errno));
	else if (buf_len(&link->output) > OUTPUT_MAX)
		end(link, OUTAGE_SLOW, "too much is unsent");
	else
		watch(link);
}

static void on_flush(struct task *task)
{
	flush(container_of(task, struct link, flush));
}

static void read_in(struct link *link)
{
	void *room = xml_reader_room(link->reader, ROOM_BYTES);
	ssize_t count = recv(link->fd, room, ROOM_BYTES, 0);

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count < 0) {
		end(link, OUTAGE_LOST, strerror(errno));
	} else if (count == 0) {
		end(link, OUTAGE_CLOSED, "end of stream");
	} else {
		xml_reader_fed(link->reader, (size_t)count);
		take_events(link);
	}
}

static void on_connected(struct link *link)
{
	int error = net_connect_error(link->fd);

	if (error != 0) {
		try_next(link, error);
		return;
	}
	net_keepalive(link->fd, KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S);
	net_user_timeout(link->fd, USER_TIMEOUT_MS);
	enter(link, LINK_OPENING);
}

static void on_ready(struct io *io, uint32_t events)
{
	struct link *link = container_of(io, struct link, io);

	if (link->state == LINK_CONNECTING) {
		on_connected(link);
		return;
	}
	if (events & EPOLLOUT)
		task_start(&link->flush);
	if ((events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	if (io->events & EPOLLIN)
		read_in(link);
	else
		end(link, OUTAGE_CLOSED, "while nothing was read");
}

/* Connects to the next address; WHY is the errno of the last one. */
static void try_next(struct link *link, int why)
{
	io_stop(&link->io);
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	while (link->address_next < link->address_count) {
		link->fd = net_connect(&link->addresses[link->address_next++]);
		if (link->fd >= 0 && io_start(&link->io, link->fd, EPOLLOUT) == 0) {
			timer_start(&link->timer, CONNECT_MS);
			return;
		}
		why = errno;
		if (link->fd >= 0)
			close(link->fd);
		link->fd = -1;
	}
	end(link, OUTAGE_CONNECT, strerror(why));
}

static void disconnect(struct link *link)
{
	timer_stop(&link->timer);
	resolve_stop(&link->resolve);
	task_stop(&link->flush);
	io_stop(&link->io);
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	xml_reader_free(link->reader);
	link->reader = NULL;
	buf_release(&link->output);
	if (link->state == LINK_UP)
		metric_add(&up_metric, link->index, -1);
}

/* ---- the states ---- */

static void on_resolved(struct resolve *resolve, const union net_address *addresses, size_t count,
                        const char *why)
{
	struct link *link = container_of(resolve, struct link, resolve);

	if (count == 0) {
		end(link, OUTAGE_NAME, why);
		return;
	}
	memcpy(link->addresses, addresses, count * sizeof *addresses);
	link->address_count = count;
	link->address_next = 0;
	enter(link, LINK_CONNECTING);
}

static void begin_resolving(struct link *link)
{
	char host[NET_HOST_MAX + 1];
	uint16_t port = 0;

	if (net_split(link->conf->server, host, &port) == 0)
		resolve_start(&link->resolve, host, port);
}

static void begin_connecting(struct link *link)
{
	try_next(link, 0);
}

static void begin_opening(struct link *link)
{
	link->reader = xml_reader_new();
	markup_add(link_output(link),
	           "<?xml version='1.0'?><stream:stream to='%s' xmlns='" LINK_NS
	           "' xmlns:stream='" STREAMS_NS "'>",
	           link->domain);
	flush(link);
}

/* XEP-0114 3: lower-case hex of SHA-1 over the stream's id and the secret. */
static void send_handshake(struct link *link, const char *id)
{
	unsigned char digest[SHA_DIGEST_LENGTH];
	char hex[2 * SHA_DIGEST_LENGTH + 1];
	char *text = mem_printf("%s%s", id, link->conf->secret);

	SHA1((unsigned char *)text, strlen(text), digest);
	mem_free_secret(text);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	markup_add(link_output(link), "<handshake>%s</handshake>", hex);
}

static void take_header(struct link *link, enum xml_event event, const struct xml *header)
{
	const char *id = xml_attribute(header, "id");

	if (!xml_is(header, STREAMS_NS, "stream")) {
		end(link, OUTAGE_XML, "this is no XMPP stream");
		return;
	}
	if (id != NULL && id[0] != '\0') /* Prosody: none if a stream error follows */
		send_handshake(link, id);
	enter(link, LINK_AUTHENTICATING);
}

/* RFC 6120 4.9: the server ends the stream and says why. */
static void take_error(struct link *link, const struct xml *error)
{
	const struct xml *text = xml_child(error, ERRORS_NS, "text");
	const struct xml *condition = error->first;
	enum outage_reason reason = OUTAGE_ERROR;
	char detail[256];

	while (condition != NULL && condition == text)
		condition = condition->next;
	if (xml_is(condition, ERRORS_NS, "conflict"))
		reason = OUTAGE_CONFLICT;
	else if (xml_is(condition, ERRORS_NS, "host-unknown") ||
	         xml_is(condition, ERRORS_NS, "not-authorized"))
		reason = OUTAGE_REFUSED;
	snprintf(detail, sizeof detail, "%s%s%s",
	         condition == NULL ? "no condition" : condition->name, text != NULL ? ": " : "",
	         text != NULL ? text->text : "");
	end(link, reason, detail);
}

static void take_handshake(struct link *link, enum xml_event event, const struct xml *element)
{
	if (xml_is(element, STREAMS_NS, "error"))
		take_error(link, element);
	else if (event == XML_STANZA && xml_is(element, LINK_NS, "handshake"))
		enter(link, LINK_UP);
	else
		end(link, OUTAGE_ERROR, "something else than a handshake came");
}

static void begin_up(struct link *link)
{
	char text[NET_TEXT_MAX];

	link->up_since_ms = loop_now_ms();
	outage_over(&link->outage);
	metric_add(&up_metric, link->index, 1);
	log_info("link-up component=%s server=%s", link->domain,
	         net_format(&link->addresses[link->address_next - 1], text));
}

/*
 * XEP-0114 has no acknowledgements: only bytes on the wire let TCP notice a peer that died. A ping
 * to ourselves would also tell of a server that hangs, but where several gateways share a name the
 * server gives the pong to any of them, and a new connection to a hung server is no better.
 */
static void keep_alive(struct link *link)
{
	uint64_t silent_ms = loop_now_ms() - link->written_ms;

	if (silent_ms >= SILENCE_MS) {
		buf_text(link_output(link), " ");
		silent_ms = 0;
	}
	timer_start(&link->timer, SILENCE_MS - silent_ms);
}

static void take_stanza(struct link *link, enum xml_event event, const struct xml *element)
{
	if (event == XML_SKIPPED)
		route_skipped(link, element);
	else if (xml_is(element, STREAMS_NS, "error"))
		take_error(link, element);
	else
		route_stanza(link, element);
}

static void begin_closing(struct link *link)
{
	buf_text(&link->output, "</stream:stream>");
	flush(link);
}

static void time_out(struct link *link)
{
	end(link, OUTAGE_TIMEOUT, link_state_name(link));
}

static void resolve_again(struct link *link)
{
	enter(link, LINK_RESOLVING);
}

static void next_address(struct link *link)
{
	try_next(link, ETIMEDOUT);
}

/* What each state does when it begins, with an element of the stream, and when its time is over. */
/* clang-format off */
static const struct {
	const char *name;
	uint32_t timeout_ms; /* 0: none, or its own */
	void (*begin)(struct link *link);
	void (*take)(struct link *link, enum xml_event event, const struct xml *element);
	void (*expired)(struct link *link);
} states[] = {
	[LINK_WAITING]        = { "waiting", 0, NULL, NULL, resolve_again },
	[LINK_RESOLVING]      = { "resolving", 10000, begin_resolving, NULL, time_out },
	[LINK_CONNECTING]     = { "connecting", 0, begin_connecting, NULL, next_address },
	[LINK_OPENING]        = { "opening", 10000, begin_opening, take_header, time_out },
	[LINK_AUTHENTICATING] = { "authenticating", 10000, NULL, take_handshake, time_out },
	[LINK_UP]             = { "up", SILENCE_MS, begin_up, take_stanza, keep_alive },
	[LINK_CLOSING]        = { "closing", 3000, begin_closing, NULL, time_out },
	[LINK_OFF]            = { "off", 0, NULL, NULL, NULL },
};
/* clang-format on */

const char *link_state_name(const struct link *link)
{
	return states[link->state].name;
}

static void enter(struct link *link, enum link_state state)
{
	log_debug("link-state component=%s from=%s to=%s", link->domain, link_state_name(link),
	          states[state].name);
	link->state = state;
	timer_stop(&link->timer);
	if (states[state].timeout_ms > 0)
		timer_start(&link->timer, states[state].timeout_ms);
	if (states[state].begin != NULL)
		states[state].begin(link);
}

static void on_expired(struct timer *timer)
{
	struct link *link = container_of(timer, struct link, timer);

	states[link->state].expired(link);
}

/*
 * RFC 6120 4.9.1.1: the stream error goes out before the close, as far as the socket takes it now.
 */
static void refuse_xml(struct link *link)
{
	const char *why = xml_reader_why(link->reader); /* static text */

	buf_printf(&link->output,
	           "<stream:error><%s xmlns='" ERRORS_NS "'/></stream:error></stream:stream>", why);
	if (buf_flush(&link->output, link->fd) != 0)
		log_debug("link-error-unsent component=%s", link->domain);
	end(link, OUTAGE_XML, why);
}

/*
 * Gives what has come to the state, event by event, until it needs more or the connection has
 * ended.
 */
static void take_events(struct link *link)
{
	const struct xml *element;

	while (link->reader != NULL) { /* a step may have ended the connection */
		enum xml_event event = xml_reader_next(link->reader, &element);

		if (event == XML_MORE) {
			return;
		} else if (event == XML_BAD) {
			refuse_xml(link);
		} else if (event == XML_END) {
			end(link, OUTAGE_CLOSED, "the server closed the stream");
		} else if (states[link->state].take != NULL) {
			states[link->state].take(link, event, element);
		}
	}
}

/* ---- the end, and what comes after ---- */

/* The one way out of a connection. DETAIL may be part of what is freed here: it is logged first. */
static void end(struct link *link, enum outage_reason reason, const char *detail)
{
	uint64_t up_ms = link->state == LINK_UP ? loop_now_ms() - link->up_since_ms : 0;
	uint32_t wait_ms;

	if (link->draining) {
		log_info("link-closed component=%s detail=\"%s\"", link->domain, detail);
		disconnect(link);
		enter(link, LINK_OFF);
		link->settled(link);
		return;
	}
	wait_ms = outage_begin(&link->outage, link->domain, reason, detail, up_ms);
	disconnect(link);
	enter(link, LINK_WAITING);
	timer_start(&link->timer, wait_ms);
}

void link_init(struct link *link, const struct conf_component *conf, size_t index)
{
	link->conf = conf;
	link->roles = conf_roles(conf);
	link->index = index;
	jid_domain(conf_domain(conf), link->domain);
	link->fd = -1;
	outage_init(&link->outage);
	link->timer.expired = on_expired;
	link->resolve.done = on_resolved;
	link->io.ready = on_ready;
	link->flush.run = on_flush;
	list_init(&link->answers);
}

void link_start(struct link *link)
{
	enter(link, LINK_RESOLVING);
}

void link_stop(struct link *link)
{
	disconnect(link);
	link->state = LINK_OFF;
}

void link_drain(struct link *link)
{
	link->draining = true;
	if (link->state == LINK_UP)
		watch(link);
	else
		link_stop(link);
}

void link_close(struct link *link)
{
	if (link->state != LINK_UP)
		return;
	metric_add(&up_metric, link->index, -1);
	enter(link, LINK_CLOSING);
}

bool link_is_up(const struct link *link)
{
	return link->state == LINK_UP;
}

struct buf *link_output(struct link *link)
{
	task_start(&link->flush);
	return &link->output;
}

void link_metrics(const char *const *domains, size_t count)
{
	up_metric.values = domains;
	up_metric.series = count;
	up_metric.numbers = mem_alloc(count, sizeof *up_metric.numbers);
	metrics_add(&up_metric);
	outage_metrics();
}

void link_metrics_release(void)
{
	free(up_metric.numbers);
	up_metric.numbers = NULL;
}
