/*
 * An IQ get or set that came in, until it is answered. It leaves by exactly one of the functions
 * that consume it. It can't be forgotten: it stays in a list with a deadline, and what has no
 * answer by then is answered wait/internal-server-error, the one error after which every
 * server tries again. It holds a copy of all that the reply needs, so the stanza itself may go.
 */
#ifndef OG_XMPPGW_COMPONENT_IQ_H
#define OG_XMPPGW_COMPONENT_IQ_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/loop.h"
#include "xmppgw/component/stream.h"
#include "xmppgw/xmpp/xml.h"

/* Module; after the components, whose streams it works on. Stopping frees the unanswered IQs. */
extern const struct daemon_module iq_module;

/* The error conditions that we answer with (RFC 6120 8.3.3), each with its type. */
enum iq_condition {
	IQ_BAD_REQUEST,           /* modify */
	IQ_JID_MALFORMED,         /* modify */
	IQ_FORBIDDEN,             /* auth */
	IQ_ITEM_NOT_FOUND,        /* cancel */
	IQ_NOT_ALLOWED,           /* cancel */
	IQ_SERVICE_UNAVAILABLE,   /* cancel */
	IQ_INTERNAL_SERVER_ERROR, /* wait / internal-server-error */
	IQ_RESOURCE_CONSTRAINT,   /* wait; never to a publish: Tigase would forget the device */
	IQ_CONDITIONS,
};

struct iq {
	struct stream *stream; /* of the component that was asked */
	const char *from;      /* the reply's from: the JID that was asked, its domain prepared */
	const char *to;        /* the reply's to: who asked */
	const char *id;
	uint64_t began_ns;

	/* The module's own. */
	struct list_link link; /* among all that are not answered */
	struct timer deadline;
	struct iq **holder; /* where the pointer to this is kept; cleared when it is consumed */
	size_t size;
	char text[];
};

/*
 * A kind of IQ that is served, as the service's file exports it: the table in route.c lists them.
 */
struct iq_service {
	const char *kind; /* in metrics */
	const char *type; /* get or set */
	const char *ns;   /* of the payload, and its name */
	const char *name;
	unsigned roles;       /* of the components that serve it */
	uint32_t deadline_ms; /* of the answer */
	/* Consumes IQ now or later; PAYLOAD lives until this returns. */
	void (*handle)(struct iq *iq, const struct xml *payload);
};

#define IQ_DEADLINE_MS 5000 /* what a client waits for */

/* An IQ that STREAM brought from TO, to be answered in DEADLINE_MS. The strings are copied. */
struct iq *iq_new(struct stream *stream, const char *from, const char *to, const char *id,
                  uint32_t deadline_ms);

/*
 * The caller answers later and keeps BYTES until then, which the stream's budget is charged with.
 * *HOLDER is set, and cleared once the IQ is consumed, which the deadline may do.
 */
void iq_hold(struct iq *iq, struct iq **holder, size_t bytes);

/* True when STREAM owes as many answers as it may. */
bool iq_stream_is_full(const struct stream *stream);

/* Replies with an empty result. Consumes IQ, as do iq_end() and iq_error(). */
void iq_result(struct iq *iq);

/* Begins a result: the caller appends its payload to what is returned and calls iq_end() next. */
struct buf *iq_begin(struct iq *iq);
/* Ends the result that iq_begin() began. */
void iq_end(struct iq *iq);

/* Replies with an error; TEXT (may be NULL) is for people, in English. */
void iq_error(struct iq *iq, enum iq_condition condition, const char *text);

#endif
