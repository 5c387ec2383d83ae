/*
 * The message that tells a party of a transfer that a limit ended it, or didn't let it begin. Pure.
 */
#ifndef OG_XMPPGW_XMPP_LIMIT_NOTICE_H
#define OG_XMPPGW_XMPP_LIMIT_NOTICE_H

#include <stdbool.h>

#include "common/base/buf.h"

/* The texts are borrowed. */
struct limit_notice {
	const char *component;   /* from */
	const char *id;          /* of the stanza */
	const char *to;          /* full JID of the party */
	const char *other;       /* bare JID of the other party */
	const char *reason;      /* for machines and for Tigase's clients: the error's text */
	const char *explanation; /* sentences for people; NULL: REASON is all that is known */
	bool stopped;            /* in mid-transfer; else it never began */
};

/*
 * Appends the message to OUT as a headline with a body, which clients show (they show no error of
 * an address that they didn't write to), and with the error beside it.
 */
void limit_notice_headline(const struct limit_notice *notice, struct buf *out);

/* Appends it as a message of type error without a body (RFC 6121 5.2.2), as Tigase's proxy does. */
void limit_notice_error(const struct limit_notice *notice, struct buf *out);

#endif
