/*
 * What a push provider is: two pure functions, one that builds a request and one that judges the
 * answer, and the form of its device tokens. A new provider is one file with a struct
 * provider_kind, and its row in PROVIDER_KINDS. Functions here see no loop, no socket and no
 * storage.
 */
#ifndef OG_PUSHD_PROVIDER_PROVIDER_H
#define OG_PUSHD_PROVIDER_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/json_text.h"
#include "pushd/provider/environment.h"
#include "pushd/provider/notification.h"

/* clang-format off */
#define PROVIDER_KINDS(row) \
	row(apns)           \
	row(fcm)
/* clang-format on */

/* Who makes the bearer token. */
enum provider_scheme {
	SCHEME_SIGNED, /* we do: a JWT signed with the .p8 key */
	SCHEME_OAUTH,  /* a token endpoint, for a JWT of the service account */
};

/* What stays the same for all requests of one configured provider; texts are borrowed. */
struct provider_settings {
	const char *endpoint; /* "https://host[:port]" */
	const char *topic;
	const char *project_id;
	int64_t expiry_s;
	bool fid; /* FCM: tokens are Firebase installation ids */
};

/* How much of the content is left out, so that a payload fits. */
enum provider_cut {
	CUT_NOTHING,
	CUT_TEXT, /* without the body or what is encrypted */
	CUT_ALL,  /* the account and the count alone */
};

/* One notification for one device, as build needs it; texts are borrowed. */
struct provider_message {
	const struct provider_settings *settings;
	const struct notification *notification;
	enum priority priority; /* PRIORITY_VOIP: to the second token */
	const char *account;    /* what the app knows the account by; NULL: it needs none */
	const char *node;       /* the device's */
	bool terse;             /* the app wants to be woken, no more: nothing goes in clear */
	const char *token;      /* where it goes: for PRIORITY_VOIP the second one */
	const char *bearer;     /* the provider's token; NULL: the connection says who we are */
	const char *id;         /* lower-case UUID, the same for all attempts */
	int64_t now_s;          /* since the epoch */
	int64_t expires_s;      /* by then it is of no use any more; not kept if expiry_s is 0 */
	enum provider_cut cut;  /* at least this is left out */
	struct arena *arena;    /* where the request's texts go */
};

#define PROVIDER_HEADERS_MAX 8

struct provider_request {
	const char *url;
	const char *headers[PROVIDER_HEADERS_MAX + 1]; /* ended by NULL */
	const char *body;
	size_t body_len;
	enum provider_cut cut; /* what was left out in the end */
};

/* The provider's answer; texts are borrowed. */
struct provider_answer {
	unsigned status;
	const char *body; /* NUL behind it */
	size_t body_len;
	const char *id;          /* header apns-id, or NULL */
	const char *retry_after; /* header Retry-After, or NULL */
};

enum verdict {
	VERDICT_SENT,
	VERDICT_GONE,       /* this registration is dead */
	VERDICT_SUSPECT,    /* the token, or the environment or topic it is used in: nobody knows */
	VERDICT_REJECTED,   /* our request is at fault, for good */
	VERDICT_TOO_LARGE,  /* to be sent once more with less in it */
	VERDICT_THROTTLED,  /* this device gets too many; retry_after_ms is at least a minute */
	VERDICT_TRANSIENT,  /* not processed: may be sent again later */
	VERDICT_EXPIRED,    /* the bearer token must be renewed, then once more; in done only when
	                       there was no time for that */
	VERDICT_CREDENTIAL, /* nothing goes with this credential until someone mends it */
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
	int64_t retry_after_ms; /* how long to wait at least before the next attempt: what the
	                           provider asked for, or its documents; 0: nothing of the kind.
	                           VERDICT_THROTTLED, TRANSIENT, UNREACHABLE and UNKNOWN */
	bool reconnect;         /* the connection is of no more use */
	bool narrow;            /* the provider allows fewer streams now: begin with one again */
	bool doubtful;          /* it speaks against the token, but would too if we were wrong */
	bool everyone; /* VERDICT_TRANSIENT: we send too much in all: nothing for retry_after_ms */
};

struct provider_kind {
	const char *name;
	enum provider_scheme scheme;
	const char *endpoints[ENVIRONMENT_SANDBOX + 1]; /* the defaults; NULL: there is none */
	bool needs_topic;
	unsigned streams_max; /* requests on one connection at once */
	/* Checks a device token and brings it into the form that is sent; false: malformed. */
	bool (*accept_token)(char *token);
	/* Fills REQUEST; 0, or -1 when no form of it fits the provider's limit. */
	int (*build)(const struct provider_message *message, struct provider_request *request);
	void (*judge)(const struct provider_answer *answer, struct judgement *judgement);
};

extern const struct provider_kind *const provider_kinds[];

/* What a verdict means besides; the judgement's members of these names. */
enum effect { EFFECT_RECONNECT = 1, EFFECT_DOUBTFUL = 2, EFFECT_EVERYONE = 4 };

/* One row of a kind's table of verdicts; the first that fits counts. */
struct verdict_row {
	unsigned status;    /* 5: any from 500 to 599; 0: any */
	const char *reason; /* NULL: any */
	enum verdict verdict;
	unsigned effects; /* of enum effect */
	unsigned wait_s;  /* before the next attempt, if the answer doesn't say how long */
};

/*
 * Sets the verdict with its effects and its wait by TABLE (ended by a row that fits all), from
 * ANSWER's status and Retry-After, and keeps REASON; the status if that is empty.
 */
void judgement_look_up(struct judgement *judgement, const struct verdict_row *table,
                       const struct provider_answer *answer, const char *reason);

#define COLLAPSE_TEXT 33

/*
 * What makes the newer of two notifications for the same node replace the older one that a device
 * has not got yet: 32 hex digits that don't tell the node. False where both must come: MESSAGE is
 * of high priority, or says something of its own.
 */
bool provider_collapse(const struct provider_message *message, char text[COLLAPSE_TEXT]);

/*
 * Copies what the provider called something, up to the first byte that no such name has; NULL gives
 * "".
 */
void provider_copy_text(char *to, size_t size, const char *from);

/* Milliseconds of a Retry-After of seconds; 0 for none and for a date. */
int64_t provider_retry_after_ms(const char *header);

/*
 * BODY cut to 500 characters with "..." behind it if it has more than 512, into ARENA; else BODY
 * itself.
 */
const char *provider_short_body(const char *body, struct arena *arena);

/* Formats a text into ARENA, which must have no cap. */
char *provider_print(struct arena *arena, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Appends the body of the request for MESSAGE without what CUT leaves out. */
typedef void provider_writer(struct json_text *out, const struct provider_message *message,
                             enum provider_cut cut);

/* Gives REQUEST the body that WRITE (called once or twice) makes for its cut, in the arena. */
void provider_write(struct provider_request *request, const struct provider_message *message,
                    provider_writer *write);

#endif
