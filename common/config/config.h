/*
 * Configuration files (libinih) read into structs by one table per daemon: the table fills, checks,
 * dumps (-T) and documents. Each key can be overridden by the environment: OG_<DAEMON>_<KEY> for
 * the section [daemon], OG_<DAEMON>_<SECTION>_<ID>_<KEY> for others, in upper case, with "_" for
 * what isn't a letter or digit; with _FILE appended the value is read from that file. Errors are
 * "file:line: message".
 */
#ifndef OG_COMMON_CONFIG_CONFIG_H
#define OG_COMMON_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/config/config_table.h"

/*
 * Reads FILE (NULL: only defaults and the environment) into a new root struct. NULL on any error,
 * which has been appended to COMPLAINTS, one per line.
 */
void *config_read(const struct config *config, const char *file, struct buf *complaints);

/* Frees a root struct and wipes its secrets; NULL is fine. */
void config_free(const struct config *config, void *root);

/* Appends every key with its value and help, in the file's own form; secrets as "(hidden)". */
void config_dump(const struct config *config, const void *root, struct buf *out);

/*
 * Moves the values of live keys and the items of live sections from FRESH into ROOT (and the old
 * ones into FRESH); how many keys differed, and how many items came or went.
 */
size_t config_take_live(const struct config *config, void *root, void *fresh);

/* True when ROOT and OTHER differ in what config_take_live() doesn't take. */
bool config_differs(const struct config *config, const void *root, const void *other);

/* True when ONE and OTHER, structs that KEYS fill, differ in a key that isn't live. */
bool config_keys_differ(const struct config_key *keys, const void *one, const void *other);

/* Item INDEX of ITEMS whose structs have SIZE bytes. */
static inline void *config_item(const struct config_items *items, size_t size, size_t index)
{
	return (char *)items->items + index * size;
}

#endif
