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
	int provider;     /* -1: any */
	int environment;  /* -1: any */
	int64_t nth;      /* the first that is answered, from 1 */
	int64_t every;    /* from there on the EVERYth one is answered, */
	double share;     /* and of these about this share, by RANDOM; 1: all; */
	int64_t times;    /* so many of them; 0: all */
	int64_t until_ms; /* and none from then on; 0: no end */
	uint64_t random;  /* what the next random number is made of */
	int64_t seen;     /* requests that fitted */
	int64_t taken;    /* requests that were wanted */
	unsigned post;    /* in which POST it came */
	struct scripted answer;
};

/* Reads element INDEX of the array member "rules" of TOP at NOW_MS. NULL after a complaint. */
struct rule *rule_read(struct json_object *top, size_t index, int64_t now_ms);

/* True if REQUEST fits RULE and is one of those that it answers. Counts it. */
bool rule_wants(struct rule *rule, const struct request *request, int64_t now_ms);

void rule_free(struct rule *rule);

#endif
