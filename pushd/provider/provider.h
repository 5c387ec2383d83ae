/*
 * What a kind of push provider is: two pure functions, one that builds a request and one that
 * judges the answer, and the form of its device tokens. A new kind is one file with a struct
 * provider_kind, and its row in kinds.h.
 */
#ifndef OG_PUSHD_PROVIDER_PROVIDER_H
#define OG_PUSHD_PROVIDER_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "pushd/provider/environment.h"
#include "pushd/provider/notification.h"
#include "pushd/provider/verdict.h"

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

#endif
