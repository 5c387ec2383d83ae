/*
 * JSON objects that others pass on, signed with a secret, so that a reader who knows it sees
 * whether they were changed. The member "signatures" is a list, of two while the fleet changes its
 * secret: each is the HMAC-SHA-256, as 64 hexadecimal digits, of what the object is for, a newline,
 * and its text without that member (sorted by names, no blanks). The HMAC's key is derived from the
 * secret, so that a signature is of no use in another protocol that has the same secret. Pure;
 * nothing fails.
 */
#ifndef OG_COMMON_TEXT_SIGNATURE_H
#define OG_COMMON_TEXT_SIGNATURE_H

#include <jansson.h>
#include <stdbool.h>

/* Signs OBJECT for PURPOSE ("relay:relay-1") by SECRET; another call adds a signature. */
void signature_put(json_t *object, const char *secret, const char *purpose);

/* True if OBJECT was signed for PURPOSE by SECRET, and wasn't changed since. */
bool signature_fits(const json_t *object, const char *secret, const char *purpose);

#endif
