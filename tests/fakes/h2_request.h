/*
 * The form of a request over HTTP/2 (RFC 9113, section 8). nghttp2 could check it, but refuses a
 * ":scheme" of "https:", which firebase-admin sends and Google takes.
 */
#ifndef OG_TESTS_FAKES_H2_REQUEST_H
#define OG_TESTS_FAKES_H2_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/* What of the form is known so far; zero before the first field. */
struct h2_request {
	unsigned pseudo; /* pseudo-headers that have come, a bit each */
	bool fields;     /* others have come: no pseudo-header may follow */
	bool sized;      /* there was a content-length */
	size_t size;     /* what it said */
};

/* Takes the next header field; false: with it the request is malformed. */
bool h2_request_field(struct h2_request *form, const char *name, size_t name_len, const char *value,
                      size_t value_len);

/* The request has come in full, with BODY bytes of body; false: it is malformed. */
bool h2_request_whole(const struct h2_request *form, size_t body);

#endif
