/*
 * Result tables of commands, written from JSON objects as daemons answer them: a table is its
 * columns, each of which says where its value is and what it means. What is missing or of another
 * type is an empty cell.
 *
 * Each cell is a field of its own (XEP-0004 3.3), and there is no "reported": Gajim 1.7 shows
 * nothing at all of a form that has one, poezio and profanity don't show its items.
 */
#ifndef OG_XMPPGW_ADHOC_TABLE_H
#define OG_XMPPGW_ADHOC_TABLE_H

#include <jansson.h>

#include "xmppgw/adhoc/adhoc.h"

enum table_kind {
	TABLE_TEXT,    /* a string, or strings with commas between */
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

/* The rows of a table that one reply has: some 25 KB of stanza. As a number and as text. */
#define TABLE_PAGE_ROWS 25
#define TABLE_PAGE "25"

/* What stands above a table: a field. */
struct table_fact {
	const char *var, *label;
	const char *text; /* NULL: it isn't there */
};

/* A part of a table. */
struct table_page {
	const json_t *rows;             /* borrowed; an array of objects, or NULL */
	const struct table_fact *facts; /* ended by a var of NULL; NULL: none */
	const char *next;    /* what the field "after" takes to go on; NULL: these are all */
	const char *warning; /* NULL: none */
};

/* Replies with PAGE of TABLE; with the action "next" if there is more. */
void table_reply(const struct adhoc_request *request, const struct table *table,
                 const struct table_page *page);

/* Appends a time as TABLE_TIME has it: VALUE is in milliseconds since 1970. */
void table_add_time(const json_t *value, struct buf *out);

#endif
