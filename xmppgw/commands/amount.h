/*
 * Limits and amounts of bytes as operators write and read them, the same in forms as in relayd's
 * configuration: a bare number is MB, suffixes B, k, M, G, T, 0 none, -1 forbidden. Pure.
 */
#ifndef OG_XMPPGW_COMMANDS_AMOUNT_H
#define OG_XMPPGW_COMMANDS_AMOUNT_H

#include <stdint.h>

#define AMOUNT_TEXT_MAX 32 /* enough for any amount as text, with NUL */

/* Reads TEXT into *BYTES. NULL, or what is wrong with it (heap, the caller frees it). */
char *amount_parse(const char *text, int64_t *bytes);

/*
 * What amount_parse() reads as exactly BYTES, into TEXT (AMOUNT_TEXT_MAX bytes), which is
 * returned.
 */
const char *amount_format(int64_t bytes, char *text);

/* BYTES for people, rounded to a tenth: "1.4 GB" (powers of 1024); likewise into TEXT. */
const char *amount_round(int64_t bytes, char *text);

#endif
