/*
 * JSON objects that others pass on: who knows the fleet's secret signs them, and who knows it finds
 * out whether they are unchanged. The member "signatures" is a list, of two while the fleet changes
 * its secret: each is the HMAC-SHA-256, as 64 hexadecimal digits, of what the object is for, a
 * newline, and its text without that member (sorted by names, no blanks). The key is made from the
 * secret, so that a signature can't be used for anything else that this secret is for. Pure;
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
