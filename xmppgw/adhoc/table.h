/*
 * Result tables of commands (XEP-0004 3.4, "reported" and "item"), written from JSON objects as
 * daemons answer them: a table is its columns, each of which says where its value is and what it
 * means. What is missing or of another type is an empty cell.
 */
#ifndef OG_XMPPGW_ADHOC_TABLE_H
#define OG_XMPPGW_ADHOC_TABLE_H

#include <jansson.h>

#include "xmppgw/adhoc/adhoc.h"

enum table_kind {
	TABLE_TEXT,    /* a string, or strings with commas between */
	TABLE_JID,     /* a string */
	TABLE_NUMBER,  /* an integer */
	TABLE_LIMIT,   /* bytes as a form takes them; missing: 0 */
	TABLE_SIZE,    /* bytes, rounded */
	TABLE_TIME,    /* milliseconds since 1970, as XEP-0082 has it */
	TABLE_SECONDS, /* milliseconds, in seconds */
	TABLE_YES_NO,
};

struct table_column {
	const char *var;
	const char *label;
	enum table_kind kind;
	const char *path; /* keys and places in arrays: "parties.0.user" */
};

struct table {
	const struct table_column *columns;
	size_t count;
};

/* The rows of a table that one reply has: some 20 KB of stanza. As a number and as text. */
#define TABLE_PAGE_ROWS 50
#define TABLE_PAGE "50"

/* A part of a table. */
struct table_page {
	const json_t *rows;  /* borrowed; an array of objects, or NULL */
	const char *text;    /* stands above the table; NULL: nothing */
	const char *next;    /* what the field "after" takes to go on; NULL: these are all */
	const char *warning; /* NULL: none */
};

/* Replies with PAGE of TABLE, as a table and as text; with the action "next" if there is more. */
void table_reply(struct adhoc_request *request, const struct table *table,
                 const struct table_page *page);

/* Appends a time as TABLE_TIME has it: VALUE is in milliseconds since 1970. */
void table_add_time(const json_t *value, struct buf *out);

#endif
