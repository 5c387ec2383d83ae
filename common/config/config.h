/*
 * Configuration files (libinih) read into structs by one table per daemon: the table fills, checks,
 * dumps (-T) and documents. Each key can be overridden by the environment: OG_<DAEMON>_<KEY> for
 * the section [daemon], OG_<DAEMON>_<SECTION>_<ID>_<KEY> for others, upper case, what isn't a
 * letter or digit as "_"; with _FILE appended the value is read from that file. Errors are
 * "file:line: message".
 */
#ifndef OG_COMMON_CONFIG_CONFIG_H
#define OG_COMMON_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

/* The largest limit: what a double, as JSON and Lua have it, still counts to the byte. */
#define CONFIG_LIMIT_MOST ((INT64_C(1) << 53) - 1)

/* What stands for a secret in sample configurations: refused as one, and as Redis's password. */
#define CONFIG_PLACEHOLDER "change-me"

/* Kinds and the C type at the key's offset. */
enum config_kind {
	CONFIG_STRING,   /* char * */
	CONFIG_SECRET,   /* char *, hidden in dumps, wiped when freed */
	CONFIG_REDIS,    /* char *: "none" or a URL as redis_url.h tells, its password hidden */
	CONFIG_LIST,     /* char **, comma-separated, ended by NULL */
	CONFIG_INTEGER,  /* int64_t, checked against least and most */
	CONFIG_SIZE,     /* int64_t bytes: suffixes k, M, G, T (powers of 1024) */
	CONFIG_LIMIT,    /* int64_t bytes: also suffix B, bare: MB; 0 means none, -1 forbidden */
	CONFIG_DURATION, /* int64_t milliseconds: suffixes ms, s, m, h, d; bare: seconds */
	CONFIG_BOOLEAN,  /* bool: yes or no */
	CONFIG_CHOICE,   /* int: place in choices */
	CONFIG_ADDRESS,  /* char *: host:port */
};

struct config_key {
	const char *name;
	enum config_kind kind;
	size_t offset;        /* in the section's struct */
	const char *fallback; /* default as it would be written; NULL: none (0, NULL, empty) */
	const char *help;     /* one sentence */
	int64_t least, most;  /* of numbers; both 0: no check */
	const char *const *choices; /* of CONFIG_CHOICE, ended by NULL */
	bool needed;                /* must be given */
	bool never_empty;           /* where it is given, as a key with a default always is */
	bool live;                  /* SIGHUP changes it in the running daemon */
	const char *retired;        /* not a key any more: this text says what replaced it */
};

struct config_section {
	const char *name; /* "daemon", "provider" */
	const char *help;
	const struct config_key *keys; /* ended by an entry without a name */
	size_t size;   /* of its struct; with an id: of one item, whose first member is char *id */
	size_t offset; /* in the root struct: of the struct itself, or of a struct config_items */
	bool with_id;  /* [name ID], any number of times */
};

/* All sections of one name that carry ids. */
struct config_items {
	void *items; /* COUNT structs of the section's size, heap */
	size_t count;
};

struct config {
	const char *daemon;                    /* "relayd": names the environment's variables */
	const struct config_section *sections; /* ended by an entry without a name */
	size_t size;                           /* of the root struct */
};

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
 * Moves the values of live keys from FRESH into ROOT (and the old ones into FRESH); how many
 * differed.
 */
size_t config_take_live(const struct config *config, void *root, void *fresh);

/* True when ROOT and OTHER have other sections, or differ in a key that isn't live. */
bool config_differs(const struct config *config, const void *root, const void *other);

/* Item INDEX of ITEMS whose structs have SIZE bytes. */
static inline void *config_item(const struct config_items *items, size_t size, size_t index)
{
	return (char *)items->items + index * size;
}

#endif
