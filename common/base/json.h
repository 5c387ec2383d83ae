/*
 * Reading JSON objects from the network: each reader checks type and range and, at the first
 * fault, keeps a complaint with the path ("notifications[3].node: must be a string of
 * 1 to 64 bytes"). After a complaint every reader does nothing, so a handler reads all it needs and
 * asks once. A member that is null counts as absent. Keys are borrowed for the object's life: use
 * string literals.
 */
#ifndef OG_COMMON_BASE_JSON_H
#define OG_COMMON_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_PATH_MAX 80    /* bytes of a path that are kept */
#define JSON_MEMBERS_MAX 24 /* most members that a caller reads of one object */

struct json_reader {
	char complaint[200]; /* "" without one */
};

/* One object being read: its place in the document is PATH ("" at the top). */
struct json_object {
	struct json_reader *reader;
	const json_t *value; /* borrowed; NULL after a complaint or when it was absent */
	char path[JSON_PATH_MAX];
	const char *asked[JSON_MEMBERS_MAX]; /* names of members that were asked for; borrowed */
	unsigned known;                      /* how many */
};

/* Starts at the top, with READER emptied; complains unless VALUE is an object. */
struct json_object json_object_top(struct json_reader *reader, const json_t *value);

/* A member that is an object; absent ones give a value of NULL, with a complaint if NEEDED. */
struct json_object json_object_member(struct json_object *object, const char *key, bool needed);

/* Element INDEX (must exist) of the array member KEY, which json_array_count() has checked. */
struct json_object json_object_element(struct json_object *object, const char *key, size_t index);

/*
 * The number of elements of an array member (0 when absent); complains over MOST or, if NEEDED,
 * when absent.
 */
size_t json_array_count(struct json_object *object, const char *key, size_t most, bool needed);

/*
 * String element INDEX of the array member KEY, of 1 to MOST bytes; NULL with a complaint
 * otherwise.
 */
const char *json_array_string(struct json_object *object, const char *key, size_t index,
                              size_t most);

/*
 * A string of at most MOST bytes without a NUL (borrowed), and of at least 1 if NEEDED. NULL when
 * absent, with a complaint if NEEDED.
 */
const char *json_string_member(struct json_object *object, const char *key, size_t most,
                               bool needed);

/* An integer from LEAST to MOST; FALLBACK when absent. */
int64_t json_integer_member(struct json_object *object, const char *key, int64_t least,
                            int64_t most, int64_t fallback);

/* A boolean; FALLBACK when absent. */
bool json_boolean_member(struct json_object *object, const char *key, bool fallback);

/* Any JSON value (borrowed), or NULL when absent. */
const json_t *json_any_member(struct json_object *object, const char *key);

/* Complains about a member that no reader has asked for: call it last for an object. */
void json_object_end(struct json_object *object);

/* Adds a complaint of the caller's own: "PATH.KEY: TEXT"; with KEY NULL "PATH: TEXT". */
void json_complain(struct json_object *object, const char *key, const char *text);

/* True while there is no complaint. */
bool json_reader_ok(const struct json_reader *reader);

#endif
