/*
 * The XML stream of one component to its XMPP server (XEP-0114, jabber:component:accept). It
 * connects, logs in, reconnects with backoff for ever, and hands each stanza to its owner.
 *
 *   waiting -> resolving -> connecting -> opening -> authenticating -> up -> closing -> off
 *      ^__________|____________|__________|____________|__________|
 *
 * With TLS, securing comes between connecting and opening.
 *
 * Of a component with standby = yes the stream connects when its owner says so, and stands by
 * instead of waiting.
 */
#ifndef OG_XMPPGW_COMPONENT_STREAM_H
#define OG_XMPPGW_COMPONENT_STREAM_H

#include <stdbool.h>

#include "common/base/backoff.h"
#include "common/base/buf.h"
#include "common/base/loop.h"
#include "common/net/net.h"
#include "common/net/resolve.h"
#include "common/text/jid.h"
#include "xmppgw/acl.h"
#include "xmppgw/conf.h"
#include "xmppgw/xmpp/xml.h"

#define COMPONENT_NS "jabber:component:accept"

enum stream_state {
	STREAM_WAITING, /* until the next attempt to connect */
	STREAM_STANDBY, /* until stream_connect() */
	STREAM_RESOLVING,
	STREAM_CONNECTING,
	STREAM_SECURING,       /* until the handshake of TLS is done */
	STREAM_OPENING,        /* until the server's stream header came */
	STREAM_AUTHENTICATING, /* until the server took the handshake */
	STREAM_UP,
	STREAM_CLOSING, /* our end tag is sent; the server's is awaited */
	STREAM_OFF,     /* for good */
};

struct stream {
	/*
	 * Both are set by the owner after stream_init(). EVENT is XML_STANZA, or XML_SKIPPED for a
	 * stanza that passed a limit of the reader, of which ELEMENT is the start tag or NULL.
	 */
	void (*on_stanza)(struct stream *stream, enum xml_event event, const struct xml *element);
	/* Called after a change of the state, and after an IQ was answered. */
	void (*on_change)(struct stream *stream);

	const struct conf_component *conf; /* borrowed */
	char domain[JID_PART_MAX + 1];     /* prepared: lower case */
	unsigned roles;
	struct acl acl; /* the owner's */
	enum stream_state state;
	bool draining;         /* nothing is read any more */
	bool yielding;         /* the same, to stand by then */
	bool displaced;        /* in STREAM_STANDBY: another connection took the stream's place */
	uint32_t rest_ms;      /* in STREAM_STANDBY: how long not to connect */
	uint64_t up_since_ms;  /* in STREAM_UP */
	bool misrouted_logged; /* route.c's: the hint about stanzas for other hosts was given */

	size_t iq_count, iq_bytes; /* of IQs that are not answered yet; iq.c counts them */

	/* The module's own. */
	struct timer timer; /* of the state */
	struct resolve resolve;
	union net_address addresses[RESOLVE_MAX];
	size_t address_count, address_next;
	struct io io;
	int fd;                            /* -1: none */
	struct ssl_st *tls;                /* NULL: none */
	char other_host[NET_HOST_MAX + 8]; /* host:port where the server sent us; "": nowhere */
	unsigned redirects;                /* in a row */
	struct xml_reader *reader;
	struct buf output;
	struct task flush;
	uint64_t written_ms; /* when something was last sent */
	struct backoff backoff;
	bool retries_at_once; /* the next attempt is made without a wait */
	int logged_end; /* the reason that was logged last; -1: none since the stream was up */
};

/* Prepares a stream for CONF, whose domain and roles have been checked. */
void stream_init(struct stream *stream, const struct conf_component *conf);

/*
 * Takes CONF, of the same domain, from now on: its roles and name at once, the rest for the next
 * connection. A stream that waits for that makes it now.
 */
void stream_configure(struct stream *stream, const struct conf_component *conf);

/*
 * Connects, and reconnects until stream_stop() or stream_drain(); also one that is off again. With
 * standby = yes the stream stands by.
 */
void stream_start(struct stream *stream);

/* Connects a stream that stands by. It stands by again when that fails or it has to wait. */
void stream_connect(struct stream *stream);

/*
 * Has the stream stand by: as stream_drain(), but unanswered IQs are waited for no longer than 2 s,
 * and their answers are lost then. The owner calls it again after each change.
 */
void stream_yield(struct stream *stream);

/* Ends the connection at once, without an end tag. */
void stream_stop(struct stream *stream);

/*
 * Ends in order: nothing is read any more, and once every IQ is answered the end tag is sent, the
 * server's is awaited, and the stream goes off. The owner calls it again after each change.
 */
void stream_drain(struct stream *stream);

/* True when the stream is up, so that stream_output() takes stanzas. */
bool stream_is_up(const struct stream *stream);

/* The buffer to which stanzas are appended; it is sent at the end of this turn of the loop. */
struct buf *stream_output(struct stream *stream);

/* The bytes of stanzas that the socket hasn't taken yet. */
size_t stream_unsent(const struct stream *stream);

const char *stream_state_name(const struct stream *stream);

/* Of all streams; the owner makes it known. */
extern struct metric stream_ends_metric;

#endif
