/*
 * What a configuration consists of: a table of sections, each with its keys. One table per daemon
 * fills its structs, checks them, dumps them and documents them.
 */
#ifndef OG_COMMON_CONFIG_CONFIG_TABLE_H
#define OG_COMMON_CONFIG_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest limit: up to it a double, the number of JSON and Lua, is exact to the byte. */
#define CONFIG_LIMIT_MOST ((INT64_C(1) << 53) - 1)

/* The placeholder of secrets in sample configurations: refused as a secret or Redis password. */
#define CONFIG_PLACEHOLDER "change-me"

/* Secrets of fewer bytes can be guessed: `least` of a CONFIG_SECRET that a stranger may try. */
#define CONFIG_SECRET_LEAST 16

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
	int64_t least, most;  /* of numbers; both 0: no check; of a secret: its fewest bytes */
	const char *const *choices; /* of CONFIG_CHOICE, ended by NULL */
	bool needed;                /* must be given */
	bool never_empty;           /* "" is refused, as for each key with a default */
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
	/*
	 * With an id: SIGHUP exchanges all items, so also adds and removes some. A key that isn't
	 * live makes the thing that its item describes begin anew.
	 */
	bool live;
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

#endif
