/*
 * What a parser says of the bytes of a message that have arrived so far. While the message isn't
 * whole, `need` is the length that it must have before the parser can say more: a caller that reads
 * no further than that leaves everything behind the message in the socket. Pure.
 */
#ifndef OG_RELAYD_WIRE_PARSE_H
#define OG_RELAYD_WIRE_PARSE_H

#include <stddef.h>
#include <stdint.h>

enum parse_status { PARSE_MORE, PARSE_DONE, PARSE_BAD };

/* Why a message is bad. */
enum parse_fault {
	PARSE_BAD_VERSION,      /* not the protocol that is expected */
	PARSE_NO_METHOD,        /* no authentication method that both ends know */
	PARSE_BAD_COMMAND,      /* not CONNECT */
	PARSE_BAD_ADDRESS_TYPE, /* not a name */
	PARSE_BAD_NAME,         /* not 40 hex digits */
	PARSE_BAD_HEADER,       /* not a PROXY header of version 2 */
	PARSE_REFUSED,          /* well-formed, but the other end refuses: see reply */
	PARSE_FAULTS,
};

struct parse {
	enum parse_status status;
	enum parse_fault fault; /* PARSE_BAD */
	size_t need;            /* PARSE_MORE */
	size_t rest;            /* PARSE_DONE: bytes after these that belong to the message */
	uint8_t reply;          /* PARSE_REFUSED: the reply field (RFC 1928, 6) */
};

static inline struct parse parse_more(size_t need)
{
	return (struct parse){ .status = PARSE_MORE, .need = need };
}

static inline struct parse parse_done(void)
{
	return (struct parse){ .status = PARSE_DONE };
}

static inline struct parse parse_bad(enum parse_fault fault)
{
	return (struct parse){ .status = PARSE_BAD, .fault = fault };
}

#endif
