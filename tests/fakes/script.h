/*
 * The script: rules that say what the pretend providers do about certain requests instead of
 * judging them. Pure: JSON in, the rule's answer out.
 *
 * A rule: {"match": {"provider", "environment", "token", "path", "nth", "every", "share", "seed",
 * "times", "for_ms"}, "answer": {…}}. All of provider, environment, token and path must fit; a path
 * may end in "*". Of the requests that fit, counted from when the rule came, it answers those from
 * the "nth" on (1; with "every" that many), of these each "every"th (1), of these about the "share"
 * (0.01 is one of a hundred; by random numbers from "seed", so that the same come again), "times"
 * of them (1 if of these only "nth" is given, else all), and none "for_ms" after it came. Where
 * several rules want a request, those that came last win, then those with a token, then the first.
 */
#ifndef OG_TESTS_FAKES_SCRIPT_H
#define OG_TESTS_FAKES_SCRIPT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/json.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "tests/fakes/answer.h"
#include "tests/fakes/request.h"

#define SCRIPT_RULES_MAX 10000

/* What a rule answers. Without status, reason and fault the request is judged as ever. */
struct scripted {
	unsigned status;      /* 0: by the reason */
	const char *reason;   /* NULL: by the status */
	int64_t timestamp_ms; /* -1: now */
	int64_t expires_in_s; /* life of an access token that is granted; 0: as ever */
	const json_t *body;   /* text, or JSON to be sent; NULL: as the provider words it */
	struct buf headers;   /* a block */
	uint32_t delay_ms;
	enum fault fault;
	uint32_t error_code;
	int32_t goaway_last; /* or ANSWER_LAST_BEFORE */
	bool goaway_silent;
	const json_t *debug; /* GOAWAY's debug data, text or JSON; NULL: none */
};

/* All zeros is an empty script. */
struct script {
	struct map by_token; /* rules with a token */
	struct rule *any;    /* rules without */
	size_t count;
	unsigned posts; /* how many times rules came */
};

/*
 * Adds the rules in the array RULES at NOW_MS. On a mistake READER has the complaint and nothing
 * was added. Returns how many were added.
 */
size_t script_add(struct script *script, const json_t *rules, int64_t now_ms,
                  struct json_reader *reader);

/*
 * What the script wants done about REQUEST at NOW_MS, borrowed until script_clear(); NULL: nothing.
 * Counts it.
 */
const struct scripted *script_match(struct script *script, const struct request *request,
                                    int64_t now_ms);

/* Forgets all rules. */
void script_clear(struct script *script);

#endif
