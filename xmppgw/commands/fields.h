/*
 * The fields of commands' forms (XEP-0004): a command lists what it asks for, and the form is
 * written, the submission read and its faults answered here for all of them.
 */
#ifndef OG_XMPPGW_COMMANDS_FIELDS_H
#define OG_XMPPGW_COMMANDS_FIELDS_H

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
	 * FIELD_CHOICE without choices: writes the values that the form offers, at most
	 * FIELD_CHOICES_MAX, and returns how many. The command itself judges what is submitted.
	 */
	size_t (*offer)(const char **values);
};

#define FIELD_ACCOUNT_LABEL "User (user@domain) or domain"

/* The field by which a listing goes on where the last reply ended. */
/* clang-format off */
#define FIELD_AFTER { "after", "Continue after" }
/* clang-format on */

struct field_value {
	/* Borrowed from the form, the field or struct field_values; NULL: it was left empty. */
	const char *text;
	int64_t bytes; /* of an amount; 0 when it was left empty */
};

/* What was submitted, field by field; not to be copied. */
struct field_values {
	const struct field *fields; /* ended by a var of NULL */
	struct field_value values[FIELDS_MAX];
	char account[JID_TEXT_MAX]; /* prepared */
	char month[FIELD_MONTH_LEN + 1];
};

/* Appends FIELDS, which end with a var of NULL, to a form. */
void fields_add(const struct field *fields, struct buf *out);

/* Reads FORM (may be NULL) by FIELDS. False after answering IQ with what is missing or wrong. */
bool fields_read(const struct field *fields, const struct xml *form, struct iq *iq,
                 struct field_values *values);

/* The value of the field VAR, which must be one of the command's. */
const struct field_value *fields_get(const struct field_values *values, const char *var);

#endif
