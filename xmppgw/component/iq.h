/*
 * An IQ get or set that came in, until it is answered. It leaves by exactly one of the functions
 * that consume it. It can't be forgotten: it stays in its stream's list with a deadline, and what
 * has no answer by then is answered wait/internal-server-error, the one error after which every
 * server tries again. It holds a copy of all that the reply needs, so the stanza itself may go.
 */
#ifndef OG_XMPPGW_COMPONENT_IQ_H
#define OG_XMPPGW_COMPONENT_IQ_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/loop.h"
#include "xmppgw/component/stream.h"

/* The error conditions that we answer with (RFC 6120 8.3.3), each with its type. */
enum iq_condition {
	IQ_BAD_REQUEST,           /* modify */
	IQ_JID_MALFORMED,         /* modify */
	IQ_FORBIDDEN,             /* auth */
	IQ_ITEM_NOT_FOUND,        /* cancel */
	IQ_NOT_ALLOWED,           /* cancel */
	IQ_SERVICE_UNAVAILABLE,   /* cancel */
	IQ_INTERNAL_SERVER_ERROR, /* wait / internal-server-error */
	IQ_CONDITIONS,
};

struct iq {
	struct stream *stream; /* of the component that was asked */
	const char *from;      /* the reply's from: the JID that was asked, its domain prepared */
	const char *to;        /* the reply's to: who asked */
	const char *id;
	uint64_t began_ns;

	/* The module's own. */
	struct list_link link; /* in stream->iqs */
	struct timer deadline;
	struct iq **holder; /* where the pointer to this is kept; cleared when it is consumed */
	size_t size;
	char text[];
};

/* An IQ that STREAM brought from TO, to be answered in DEADLINE_MS. The strings are copied. */
struct iq *iq_new(struct stream *stream, const char *from, const char *to, const char *id,
                  uint32_t deadline_ms);

/*
 * Says where the caller keeps its pointer: *HOLDER is set, and cleared once the IQ is consumed,
 * which the deadline may do.
 */
void iq_hold(struct iq *iq, struct iq **holder);

/* Charges LEN more bytes to the stream's budget for as long as the IQ is not answered. */
void iq_charge(struct iq *iq, size_t len);

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

/* Frees all IQs of STREAM without an answer: its connection is over for good. */
void iq_forget_all(struct stream *stream);

void iq_metrics(void);

#endif
