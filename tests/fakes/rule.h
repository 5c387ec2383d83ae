/*
 * One rule of the script, read from JSON.
 */
#ifndef OG_TESTS_FAKES_RULE_H
#define OG_TESTS_FAKES_RULE_H

#include "tests/fakes/script.h"

struct rule {
	struct rule *next; /* of the same token */
	json_t *source;    /* owned: the texts below are in it */
	const char *token; /* NULL: any; so are the others */
	const char *path;
	int provider;  /* -1: any */
	int64_t nth;   /* the first that is answered, from 1 */
	int64_t times; /* how many are answered from there on; 0: all */
	int64_t seen;  /* requests that fitted */
	unsigned post; /* in which POST it came */
	struct scripted answer;
};

/* Reads element INDEX of the array member "rules" of TOP. NULL after a complaint. */
struct rule *rule_read(struct json_object *top, size_t index);

void rule_free(struct rule *rule);

#endif
