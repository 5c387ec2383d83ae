/*
 * The fields of commands' forms (XEP-0004): a command lists what it asks for, and the form is
 * written, the submission read and its faults answered here for all of them.
 */
#ifndef OG_XMPPGW_ADHOC_FIELDS_H
#define OG_XMPPGW_ADHOC_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/text/jid.h"
#include "xmppgw/component/iq.h"
#include "xmppgw/xmpp/xml.h"

#define FIELDS_MAX 8          /* of one command */
#define FIELD_CHOICES_MAX 256 /* more choices than these a form doesn't offer */
#define FIELD_MONTH_LEN 6     /* YYYYMM */

enum field_kind {
	FIELD_TEXT,
	FIELD_CHOICE,  /* one of several values */
	FIELD_ACCOUNT, /* a user or a domain, as relayd's ledgers name them */
	FIELD_LIMIT,   /* an amount of bytes, 0 or -1; see amount.h */
	FIELD_BYTES,   /* an amount of bytes that is more than 0 */
	FIELD_MONTH,   /* YYYYMM; the current one (UTC) when it is left empty */
	FIELD_HASH,    /* the name of a bytestream: 40 hex digits */
	FIELD_USER,    /* user@domain */
	FIELD_DOMAIN,
	FIELD_TIME,   /* a day (UTC) or a moment, as XEP-0082 writes them */
	FIELD_LINES,  /* a text of several lines; at most one field of a command */
	FIELD_SECRET, /* a text that isn't shown */
	FIELD_HIDDEN, /* a text that the form doesn't ask for, but that is taken */
};

enum field_need {
	FIELD_OPTIONAL,
	FIELD_REQUIRED,
	FIELD_RECOMMENDED, /* the form says required, but a submission without it is served */
};

struct field {
	const char *var;
	const char *label;
	enum field_kind kind;
	enum field_need need;
	const char *help; /* NULL: none */
	/* FIELD_CHOICE: the values that are taken, ended by NULL; the first one is the default. */
	const char *const *choices;
	/*
	 * FIELD_CHOICE without choices: where this is NULL too, a struct field_offer has them and
	 * the form has no such field without it. Else it writes the values that the form offers, at
	 * most FIELD_CHOICES_MAX, and returns how many. The command itself judges what is
	 * submitted.
	 */
	size_t (*offer)(const char **values);
};

#define FIELD_ACCOUNT_LABEL "User (user@domain) or domain"

/* The field by which a listing goes on where the last reply ended: see adhoc_add_next(). */
#define FIELD_AFTER_VAR "after"
/* clang-format off */
#define FIELD_AFTER { FIELD_AFTER_VAR, "Continue after", FIELD_HIDDEN }
/* clang-format on */

struct field_value {
	/* Borrowed from the form, the field or struct field_values; NULL: it was left empty. */
	const char *text;
	int64_t bytes; /* of an amount; 0 when it was left empty */
	int64_t at_ms; /* of a time, since 1970 */
};

/* What was submitted, field by field; not to be copied. */
struct field_values {
	const struct field *fields; /* ended by a var of NULL */
	struct field_value values[FIELDS_MAX];
	char account[JID_TEXT_MAX]; /* prepared */
	char domain[JID_PART_MAX + 1];
	char month[FIELD_MONTH_LEN + 1];
	char *lines; /* of FIELD_LINES; heap, a secret */
};

/* True if a form of FIELDS would ask for anything. */
bool fields_visible(const struct field *fields);

/* What a form offers and says that is known only when it is asked for. */
struct field_offer {
	const char *notice; /* stands above the fields; NULL: nothing */
	/* The field whose value is to be chosen, which may be of any kind; NULL: none. */
	const char *var;
	const json_t *options; /* of {"value": …, "label": …}; borrowed */
	const char *given_var; /* a field that was submitted already, and its value; NULL: none */
	const char *given;
};

/* Appends FIELDS, which end with a var of NULL, to a form. OFFER may be NULL. */
void fields_add(const struct field *fields, const struct field_offer *offer, struct buf *out);

/*
 * Reads FORM (NULL: nothing was submitted) by FIELDS. False after answering IQ with what is missing
 * or wrong. VALUES are released by fields_release() in either case.
 */
bool fields_read(const struct field *fields, const struct xml *form, struct iq *iq,
                 struct field_values *values);

/* Frees and wipes what VALUES own. */
void fields_release(struct field_values *values);

/* The value of the field VAR, which must be one of the command's. */
const struct field_value *fields_get(const struct field_values *values, const char *var);

#endif
