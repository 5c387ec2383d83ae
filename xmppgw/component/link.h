/*
 * A link: the TCP stream of one component to its XMPP server (XEP-0114, jabber:component:accept).
 * It mends itself: it connects, logs in, reconnects with backoff, and hands each stanza to the
 * route table.
 *
 *   waiting -> resolving -> connecting -> opening -> authenticating -> up -> closing -> off
 *      ^__________|____________|__________|____________|__________|
 */
#ifndef OG_XMPPGW_COMPONENT_LINK_H
#define OG_XMPPGW_COMPONENT_LINK_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/net/net.h"
#include "common/net/resolve.h"
#include "xmppgw/component/outage.h"
#include "xmppgw/conf.h"
#include "xmppgw/xmpp/jid.h"
#include "xmppgw/xmpp/xml.h"

#define LINK_NS "jabber:component:accept"

enum link_state {
	LINK_WAITING,
	LINK_RESOLVING,
	LINK_CONNECTING,
	LINK_OPENING,
	LINK_AUTHENTICATING,
	LINK_UP,
	LINK_CLOSING, /* our end tag is sent; the server's is awaited */
	LINK_OFF,     /* for good */
};

struct link {
	/*
	 * Called when stanzas that were answered may have been the last ones, and when the link
	 * goes off.
	 */
	void (*settled)(struct link *link);
	const struct conf_component *conf; /* borrowed */
	char domain[JID_PART_MAX + 1];     /* prepared: lower case */
	unsigned roles;
	size_t index; /* among all links: its place in metrics */

	enum link_state state;
	struct timer timer; /* of the state */
	struct resolve resolve;
	union net_address addresses[RESOLVE_MAX];
	size_t address_count, address_next;
	struct io io;
	int fd; /* -1: none */
	struct xml_reader *reader;
	struct buf output;
	struct task flush;
	bool draining; /* nothing is read any more */
	struct outage outage;
	uint64_t up_since_ms;  /* in LINK_UP */
	uint64_t written_ms;   /* when something was last sent */
	bool misrouted_logged; /* the hint about stanzas for other hosts */

	struct list answers; /* struct answer: outstanding */
	size_t answer_count, answer_bytes;
};

/*
 * Prepares a link for CONF, whose domain and roles have been checked; link->settled is set after.
 */
void link_init(struct link *link, const struct conf_component *conf, size_t index);

/* Connects, now and for ever. */
void link_start(struct link *link);

/* Ends the connection at once, without a word. */
void link_stop(struct link *link);

/* Stops reading; once everything is answered, link_close() is in order. */
void link_drain(struct link *link);

/* Closes the stream in order: end tag, the server's end tag, off. */
void link_close(struct link *link);

/* True when the stream is up: link_output() takes stanzas. */
bool link_is_up(const struct link *link);

/* Where stanzas are appended in LINK_UP: they are sent at the end of this turn. Never fails. */
struct buf *link_output(struct link *link);

const char *link_state_name(const struct link *link);

/* Makes the metrics of COUNT links known; DOMAINS (borrowed) are their labels. */
void link_metrics(const char *const *domains, size_t count);

/* At the end of the process, when nobody asks for metrics any more. */
void link_metrics_release(void);

#endif
