#include "tests/fakes/xmpp_server/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/text/sha1.h"
#include "tests/fakes/xmpp_server/text.h"

#define READ_BYTES 65536
#define ERRORS_NS "urn:ietf:params:xml:ns:xmpp-streams"
#define ASKED "server-asks-"
#define DISCO_INFO_NS "http://jabber.org/protocol/disco#info"

/* ---- the end ---- */

void link_cut(struct link *link)
{
	list_remove(&link->of_component);
	list_remove(&link->of_server);
	if (link->component != NULL && list_empty(&link->component->links))
		link->component->listed = false;
	link->server->left(link);
	task_stop(&link->flush);
	io_stop(&link->io);
	close(link->fd);
	xml_stop(&link->xml);
	buf_release(&link->output);
	free(link->name);
	free(link->id);
	free(link);
}

/* Says why the stream ends (RFC 6120 4.9); it is closed once what was read is dealt with. */
static void refuse(struct link *link, const char *condition, const char *text)
{
	log_info("stream-refused name=%s condition=%s", link->name == NULL ? "" : link->name,
	         condition);
	buf_printf(link_output(link),
	           "<stream:error><%s xmlns='" ERRORS_NS "'/><text xmlns='" ERRORS_NS
	           "'>%s</text></stream:error></stream:stream>",
	           condition, text);
	list_remove(&link->of_component);
	link->state = LINK_OVER;
}

/* ---- the handshake ---- */

static bool may_open(const struct link *link)
{
	const struct server *server = link->server;
	size_t len = strlen(link->name), domain_len = strlen(server->domain);

	if (server->kind->known_at_header && link->component == NULL)
		return false;
	if (!server->kind->subdomains)
		return true;
	return len > domain_len + 1 && link->name[len - domain_len - 1] == '.' &&
	       strcmp(link->name + len - domain_len, server->domain) == 0;
}

static void send_header(struct link *link, const char *id)
{
	struct text_value values[] = { { "id", id, 0 }, { "name", link->name, 0 }, { NULL } };

	text_fill(link_output(link),
	          "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/"
	          "streams' xmlns='jabber:component:accept' id='{id}' from='{name}'>",
	          values);
}

static void on_header(struct xml *xml, const struct element *header)
{
	struct link *link = container_of(xml, struct link, xml);

	link->name = mem_dup(header->to);
	link->multiple = header->allows_multiple;
	link->component = server_component(link->server, link->name);
	if (!may_open(link)) {
		link->server->counts[STREAM_REFUSED]++;
		send_header(link, "");
		refuse(link, "host-unknown", "no such component is configured");
		return;
	}
	link->id = text_number(link->server->kind->stream_id, backoff_random());
	send_header(link, link->id);
	link->state = LINK_AUTHENTICATING;
}

static bool is_right(const struct link *link, const char *handshake)
{
	char right[SHA1_TEXT_SIZE];
	char *text;

	if (link->component == NULL)
		return false;
	text = mem_printf("%s%s", link->id, link->component->secret);
	sha1_text(text, strlen(text), right);
	free(text);
	return link->server->kind->any_case ? strcasecmp(right, handshake) == 0
	                                    : strcmp(right, handshake) == 0;
}

static struct link *first_of(const struct component *component)
{
	struct list_link *first = list_first(&component->links);

	return first == NULL ? NULL : container_of(first, struct link, of_component);
}

static bool may_share(const struct link *link, const struct link *other)
{
	enum second second = link->server->kind->second;

	return second == SECOND_SHARES ||
	       (second == SECOND_IF_ASKED && link->multiple && other->multiple);
}

/* Another connection has the name already. False if this one has to go. */
static bool settle_conflict(struct link *link)
{
	struct link *other = first_of(link->component);

	if (other == NULL || may_share(link, other))
		return true;
	link->server->counts[STREAM_CONFLICTS]++;
	if (link->server->kicks_old) {
		refuse(other, "conflict", "Replaced by a new connection");
		shutdown(other->fd, SHUT_RD);
		return true;
	}
	refuse(link, "conflict", "the component is already connected");
	return false;
}

/* As Openfire does with each new component. */
static void ask(struct link *link)
{
	struct text_value values[] = { { "name", link->name, 0 },
		                       { "domain", link->server->domain, 0 },
		                       { NULL } };

	text_fill(link_output(link),
	          "<iq type='get' id='" ASKED
	          "info' from='{domain}' to='{name}'><query xmlns='" DISCO_INFO_NS
	          "'/></iq><iq type='get' id='" ASKED "version' from='{domain}' "
	          "to='{name}'><query xmlns='jabber:iq:version'/></iq>",
	          values);
}

static void take_handshake(struct link *link, const struct element *element)
{
	if (strcmp(element->name, "handshake") != 0 || !is_right(link, element->text)) {
		link->server->counts[STREAM_REFUSED]++;
		refuse(link, "not-authorized", "the handshake is wrong");
		return;
	}
	if (!settle_conflict(link))
		return;
	link->state = LINK_UP;
	list_append(&link->component->links, &link->of_component);
	link->server->counts[STREAM_UP]++;
	buf_text(link_output(link), "<handshake/>");
	log_info("component-up name=%s", link->name);
	if (link->server->kind->asks)
		ask(link);
}

/* ---- stanzas ---- */

static bool is_stanza(const struct element *element)
{
	return strcmp(element->name, "iq") == 0 || strcmp(element->name, "message") == 0 ||
	       strcmp(element->name, "presence") == 0;
}

/* Where the domain of a JID begins, and how long it is. */
static const char *find_domain(const char *jid, size_t *len)
{
	size_t bare_len = strcspn(jid, "/");
	const char *at = memchr(jid, '@', bare_len);
	const char *domain = at == NULL ? jid : at + 1;

	*len = bare_len - (size_t)(domain - jid);
	return domain;
}

static bool is_own(const struct link *link, const char *from)
{
	size_t len;
	const char *domain = find_domain(from, &len);

	return strlen(link->name) == len && memcmp(domain, link->name, len) == 0;
}

/* A stanza or element that this kind of server takes amiss; CONDITION NULL: it is only refused. */
static void complain(struct link *link, const struct element *element, const char *condition)
{
	struct text_value values[] = { { "id", element->id, 0 },
		                       { "name", link->name, 0 },
		                       { "domain", link->server->domain, 0 },
		                       { NULL } };

	link->server->counts[STREAM_FAULTS]++;
	log_warn("fault name=%s element=%s from=%s to=%s", link->name, element->name, element->from,
	         element->to);
	if (condition != NULL)
		refuse(link, condition, "");
	else
		text_fill(link_output(link),
		          "<iq type='error' id='{id}' from='{domain}' to='{name}'><error "
		          "type='modify'><bad-request "
		          "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
		          values);
}

static void take_iq(struct link *link, const struct element *element)
{
	bool reply = strcmp(element->type, "result") == 0 || strcmp(element->type, "error") == 0;

	if (!reply)
		link->server->counts[STREAM_REQUESTS]++;
	else if (strcmp(element->id, ASKED "info") == 0)
		link->component->listed = strcmp(element->payload_ns, DISCO_INFO_NS) == 0;
	else if (strcmp(element->id, ASKED "version") != 0)
		link->server->replied(link, element);
}

static void take_stanza(struct link *link, const struct element *element)
{
	const struct kind *kind = link->server->kind;

	if (!is_stanza(element)) {
		if (kind->other != NULL)
			complain(link, element, kind->other);
	} else if (kind->no_address != NULL && !(element->has_from && element->has_to)) {
		complain(link, element, kind->no_address);
	} else if (!element->has_from || !is_own(link, element->from)) {
		complain(link, element, kind->foreign);
	} else if (!element->has_to) {
		complain(link, element, NULL);
	} else if (strcmp(element->name, "iq") == 0) {
		take_iq(link, element);
	} else if (strcmp(element->name, "message") == 0) {
		link->server->counts[STREAM_MESSAGES]++;
	}
}

static void on_element(struct xml *xml, const struct element *element)
{
	struct link *link = container_of(xml, struct link, xml);

	if (link->state == LINK_AUTHENTICATING)
		take_handshake(link, element);
	else if (link->state == LINK_UP)
		take_stanza(link, element);
}

/* ---- bytes ---- */

/* Sends what is to be sent; false if LINK is gone. */
static bool flush(struct link *link)
{
	uint32_t events = EPOLLIN;

	if (buf_flush(&link->output, link->fd) != 0) {
		link_cut(link);
		return false;
	}
	if (buf_len(&link->output) > 0)
		events |= EPOLLOUT;
	if (events != link->io.events)
		io_start(&link->io, link->fd, events);
	return true;
}

static void on_flush(struct task *task)
{
	flush(container_of(task, struct link, flush));
}

struct buf *link_output(struct link *link)
{
	task_start(&link->flush);
	return &link->output;
}

/* What was read has been dealt with; does what must not be done while it is. */
static void settle(struct link *link, bool well_formed)
{
	if (link->xml.comment && link->server->kind->refuses_comments)
		well_formed = false;
	if (!well_formed && link->state != LINK_OVER) {
		link->server->counts[STREAM_FAULTS]++;
		refuse(link, "not-well-formed", "");
	} else if (link->xml.ended && link->state != LINK_OVER) {
		log_info("component-left name=%s", link->name);
		buf_text(&link->output, "</stream:stream>");
		link->state = LINK_OVER;
	}
	if (link->state == LINK_OVER && flush(link))
		link_cut(link);
}

static void read_in(struct link *link)
{
	static char bytes[READ_BYTES];
	ssize_t count = recv(link->fd, bytes, sizeof(bytes), 0);

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		log_info("component-lost name=%s", link->name == NULL ? "" : link->name);
		link_cut(link);
		return;
	}
	settle(link, xml_feed(&link->xml, bytes, (size_t)count) == 0);
}

static void on_ready(struct io *io, uint32_t events)
{
	struct link *link = container_of(io, struct link, io);

	if (events & EPOLLOUT)
		task_start(&link->flush);
	if (events & ~(uint32_t)EPOLLOUT)
		read_in(link);
}

void link_open(struct server *server, int fd)
{
	struct link *link = mem_alloc(1, sizeof(*link));

	link->server = server;
	link->fd = fd;
	link->io.ready = on_ready;
	link->flush.run = on_flush;
	link->xml.began = on_header;
	link->xml.came = on_element;
	xml_start(&link->xml);
	list_init(&link->owed);
	list_append(&server->links, &link->of_server);
	if (io_start(&link->io, fd, EPOLLIN) != 0)
		link_cut(link);
}

/* ---- which connection ---- */

static size_t count_of(const struct component *component)
{
	size_t count = 0;

	list_for_each (link, &component->links)
		count++;
	return count;
}

static size_t hash_of(const char *text)
{
	size_t hash = 5381;

	for (; *text != '\0'; text++)
		hash = hash * 33 + (unsigned char)*text;
	return hash;
}

struct link *link_for(const struct server *server, struct component *component, const char *to)
{
	size_t place = 0, count = count_of(component);
	struct list_link *at = list_first(&component->links);

	if (at == NULL)
		return NULL;
	switch (server->kind->balance) {
	case BALANCE_RANDOM:
		place = count > 1 ? backoff_random() % count : 0;
		break;
	case BALANCE_TURNS: /* the first one goes to the end */
		list_remove(at);
		list_append(&component->links, at);
		place = count - 1;
		break;
	case BALANCE_RECEIVER:
		place = hash_of(to) % count;
		break;
	}
	for (at = list_first(&component->links); place > 0; place--)
		at = at->next;
	return container_of(at, struct link, of_component);
}
