/*
 * The values of a configuration: what each kind of key looks like as text and in its struct. Used
 * by config.c, and where people write the like elsewhere; BASE is the struct that the key's offset
 * counts from.
 */
#ifndef OG_COMMON_CONFIG_CONFIG_VALUE_H
#define OG_COMMON_CONFIG_CONFIG_VALUE_H

#include "common/base/buf.h"
#include "common/config/config_table.h"

/* True for UTF-8, as everything that may come to stand in JSON must be. */
bool config_value_utf8(const char *text);

/*
 * Reads TEXT ("" is nothing: NULL, or a list without items) into the key's member, which must be
 * zero. NULL, or what is wrong with TEXT (heap, without the key's name; never quotes a secret).
 */
char *config_value_parse(const struct config_key *key, void *base, const char *text);

/* Appends the value as the file would have it; nothing for none, "(hidden)" for a secret. */
void config_value_print(const struct config_key *key, const void *base, struct buf *out);

bool config_value_equal(const struct config_key *key, const void *one, const void *other);

/* Exchanges the members of two structs. */
void config_value_swap(const struct config_key *key, void *one, void *other);

/* Frees what the member owns and sets it to zero; a secret is wiped. */
void config_value_release(const struct config_key *key, void *base);

#endif
