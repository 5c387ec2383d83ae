/*
 * The XMPP servers that can be played, and how each differs from the others: as the server's end of
 * a component's stream (XEP-0114), in the stanzas that it publishes (XEP-0357), and in what an
 * app server's reply does to the registration that it published for. Pure.
 */
#ifndef OG_TESTS_FAKES_XMPP_SERVER_KIND_H
#define OG_TESTS_FAKES_XMPP_SERVER_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What becomes of a second connection of a component's name. */
enum second {
	SECOND_REFUSED,  /* it gets "conflict" */
	SECOND_SHARES,   /* both get stanzas */
	SECOND_IF_ASKED, /* it shares if its header has allowMultiple, else it is refused */
};

/* Which of several connections gets a stanza. */
enum balance { BALANCE_RANDOM, BALANCE_TURNS, BALANCE_RECEIVER };

/* An app server's reply, as far as servers look at it. */
struct verdict {
	bool result;
	bool from_asked;        /* it comes from the JID that was published to */
	const char *error_type; /* NULL: none */
	const char *condition;  /* NULL: none */
};

/* What a reply does to the registration. */
enum effect {
	EFFECT_NONE,  /* the reply is ignored */
	EFFECT_KEEP,  /* the registration is fine, errors that were counted are forgotten */
	EFFECT_COUNT, /* one error more; at errors_max the registration is dropped */
	EFFECT_DROP,  /* the server forgets the registration */
};

/* A publish: the text of an IQ with {id} {from} {to} {node} {options} {sender} {body} {sid}. */
struct form {
	const char *name;
	const char *text;
};

struct kind {
	const char *name;
	const char *stream_id;  /* a stream's id, with {n} for a number */
	const char *publish_id; /* a publish's, likewise */
	bool any_case;          /* a handshake in capitals is right, too */
	bool known_at_header;   /* the name has to be configured, or the header is host-unknown */
	bool subdomains;        /* the name has to be below the server's, likewise */
	bool bares;             /* it publishes to the bare JID of what was enabled */
	bool asks;              /* it asks a new component for disco#info and its version */
	enum second second;
	enum balance balance;
	const char *no_address; /* stream error for a stanza without from or to; NULL: an error */
	const char *foreign;    /* stream error for a from of another domain; NULL: an error */
	const char *other;      /* stream error for an element that is no stanza; NULL: ignored */
	bool refuses_comments;
	unsigned errors_max;  /* for EFFECT_COUNT */
	uint32_t patience_ms; /* a reply that comes later is ignored; 0: none is too late */
	enum effect (*effect)(const struct verdict *verdict);
	const char *option_form;  /* the publish-options, with {secret}; "" is sent without one */
	const struct form *forms; /* ended by one without a name; the first is the usual one */
};

extern const struct kind kinds[];
extern const size_t kind_count;

/* The kind of that name, or NULL. */
const struct kind *kind_by_name(const char *name);

/* The publish of that name (NULL: the usual one) that KIND sends, or NULL. */
const struct form *kind_form(const struct kind *kind, const char *name);

#endif
