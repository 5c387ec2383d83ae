/*
 * An answer that we owe: every IQ get and set that comes in becomes one, and leaves by exactly one
 * of the functions that consume it. It can't be forgotten: it stays in its link's list with a
 * deadline, and what has not been answered by then is answered wait/internal-server-error, the one
 * error after which every server tries again. It keeps all that the reply needs, so the stanza
 * itself may go.
 */
#ifndef OG_XMPPGW_COMPONENT_ANSWER_H
#define OG_XMPPGW_COMPONENT_ANSWER_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/loop.h"
#include "xmppgw/component/link.h"

/* The error conditions that we answer with (RFC 6120 8.3.3), each with its type. */
enum answer_error {
	ANSWER_BAD_REQUEST,         /* modify */
	ANSWER_JID_MALFORMED,       /* modify */
	ANSWER_FORBIDDEN,           /* auth */
	ANSWER_ITEM_NOT_FOUND,      /* cancel */
	ANSWER_NOT_ALLOWED,         /* cancel */
	ANSWER_SERVICE_UNAVAILABLE, /* cancel */
	ANSWER_TROUBLE,             /* wait / internal-server-error */
	ANSWER_ERRORS,
};

struct answer {
	struct link *owner; /* the component that was asked */
	const char *from;   /* the reply's from: the JID that was asked, its domain prepared */
	const char *to;     /* the reply's to: who asked */
	const char *id;
	uint64_t began_ns;

	/* The module's own. */
	struct list_link link; /* in owner->answers */
	struct timer deadline;
	struct answer **holder; /* where the pointer to this is kept; cleared when it is consumed */
	size_t size;
	char text[];
};

/* An answer for LINK's requester TO, due in DEADLINE_MS. The strings are copied. */
struct answer *answer_new(struct link *link, const char *from, const char *to, const char *id,
                          uint32_t deadline_ms);

/*
 * Says where the caller keeps its pointer: *HOLDER is set, and cleared once the answer is
 * consumed.
 */
void answer_hold(struct answer *answer, struct answer **holder);

/* Charges LEN more bytes to the link's budget for as long as the answer is outstanding. */
void answer_charge(struct answer *answer, size_t len);

/* True when LINK has as many answers outstanding as it may. */
bool answer_link_is_full(const struct link *link);

/* Replies with an empty result. Consumes ANSWER, as do all that follow. */
void answer_result(struct answer *answer);

/* Begins a result: its payload is appended to what is returned, in this same call of the loop. */
struct buf *answer_begin(struct answer *answer);
/* Ends the result that answer_begin() began. */
void answer_end(struct answer *answer);

/* Replies with an error; TEXT (may be NULL) is for people, in English. */
void answer_error(struct answer *answer, enum answer_error error, const char *text);

/* Writes a lone error reply, for a stanza that became no answer. */
void answer_refuse(struct link *link, const char *from, const char *to, const char *id,
                   enum answer_error error);

/* Forgets all answers of LINK, whose connection is over for good. */
void answer_forget(struct link *link);

void answer_metrics(void);

#endif
