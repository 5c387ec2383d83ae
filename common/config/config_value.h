/*
 * The values of a configuration: the form of each kind of key as text and in its struct. Used by
 * config.c, and for values that people write elsewhere in the same form. BASE is the struct from
 * which the key's offset counts.
 */
#ifndef OG_COMMON_CONFIG_CONFIG_VALUE_H
#define OG_COMMON_CONFIG_CONFIG_VALUE_H

#include "common/base/buf.h"
#include "common/config/config_table.h"

/* True for UTF-8: any value may be written into JSON, which must be UTF-8. */
bool config_value_utf8(const char *text);

/*
 * Reads TEXT ("" is nothing: NULL, or a list without items) into the key's member, which must be
 * zero. NULL, or what is wrong with TEXT (heap, without the key's name; never quotes a secret).
 */
char *config_value_parse(const struct config_key *key, void *base, const char *text);

/* Appends the value in the form of the file; nothing if unset, "(hidden)" for a secret. */
void config_value_print(const struct config_key *key, const void *base, struct buf *out);

bool config_value_equal(const struct config_key *key, const void *one, const void *other);

/* Exchanges the members of two structs. */
void config_value_swap(const struct config_key *key, void *one, void *other);

/* Frees what the member owns and sets it to zero; a secret is wiped. */
void config_value_release(const struct config_key *key, void *base);

#endif
