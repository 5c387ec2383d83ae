/*
 * What an answer of a provider means: a kind's table of verdicts, by status and reason, gives the
 * judgement. Pure.
 */
#ifndef OG_PUSHD_PROVIDER_VERDICT_H
#define OG_PUSHD_PROVIDER_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROVIDER_WANTED_MAX 4 /* response headers that a kind reads */

/* The provider's answer; texts are borrowed. */
struct provider_answer {
	unsigned status;
	const char *body; /* NUL behind it */
	size_t body_len;
	const char *wanted[PROVIDER_WANTED_MAX]; /* the headers that the kind wants, or NULL */
	const char *retry_after;                 /* header Retry-After, or NULL */
};

enum verdict {
	VERDICT_SENT,
	VERDICT_GONE,        /* this registration is dead */
	VERDICT_SUSPECT,     /* the token is bad, or the environment or topic that it is used in */
	VERDICT_REJECTED,    /* our request is at fault, for good */
	VERDICT_TOO_LARGE,   /* to be sent once more with less in it */
	VERDICT_THROTTLED,   /* this device gets too many; retry_after_ms is at least a minute */
	VERDICT_TRANSIENT,   /* not processed: may be sent again later */
	VERDICT_EXPIRED,     /* the bearer token must be renewed, then once more; in done only when
	                       there was no time for that */
	VERDICT_CREDENTIAL,  /* nothing goes with this credential until someone mends it */
	VERDICT_UNREACHABLE, /* no connection: nothing was sent */
	VERDICT_UNKNOWN,     /* no answer: it may have been processed */
	VERDICT_COUNT
};

extern const char *const verdict_names[VERDICT_COUNT + 1];

#define JUDGEMENT_REASON_MAX 48
#define JUDGEMENT_ID_MAX 200

struct judgement {
	enum verdict verdict;
	unsigned status;                   /* of the answer; 0: none came */
	char reason[JUDGEMENT_REASON_MAX]; /* the provider's word for it, "" for none */
	char id[JUDGEMENT_ID_MAX];         /* the provider's name of an accepted notification */
	int64_t timestamp_ms;   /* VERDICT_GONE: since when, by the provider's clock; 0: not said */
	int64_t retry_after_ms; /* the least wait before the next attempt, as the provider asks for
	                           or documents it; 0: none. VERDICT_THROTTLED, TRANSIENT,
	                           UNREACHABLE and UNKNOWN */
	bool reset_window;      /* the provider allows fewer streams now: begin with one again */
	bool reconnect;         /* the connection is of no more use */
	bool token_fault;       /* the token may be bad, or our topic, project or environment is
	                           wrong: believe it only with sender_trusted() */
	bool other_environment; /* the token may be good in the provider's other environment */
	bool pause_provider;    /* VERDICT_TRANSIENT: we send too much in all: nothing to any device
	                        for retry_after_ms */
	bool speechless; /* VERDICT_TRANSIENT: a refusal without the provider's reason, as a proxy
	                    or a front end in trouble sends it; only a few in a row count as
	                    VERDICT_CREDENTIAL */
};

/* What a verdict means besides; the judgement's members of these names. */
enum effect {
	EFFECT_RECONNECT = 1,
	EFFECT_TOKEN_FAULT = 2,
	EFFECT_OTHER_ENVIRONMENT = 4,
	EFFECT_PAUSE_PROVIDER = 8,
	EFFECT_SPEECHLESS = 16,
};

/* One row of a kind's table of verdicts; the first that fits counts. */
struct verdict_row {
	unsigned status;    /* 5: any from 500 to 599; 0: any */
	const char *reason; /* NULL: any; "": none was given */
	enum verdict verdict;
	unsigned effects; /* of enum effect */
	unsigned wait_s;  /* before the next attempt, if the answer doesn't say how long */
};

/*
 * Sets the verdict with its effects and its wait by TABLE (ended by a row that fits all), from
 * ANSWER's status and Retry-After, and keeps REASON; the status if that is empty.
 */
void verdict_look_up(struct judgement *judgement, const struct verdict_row *table,
                     const struct provider_answer *answer, const char *reason);

#endif
