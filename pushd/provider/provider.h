/*
 * What a kind of push provider is. A new one is one file with a struct provider_kind, what it needs
 * beside it (a form of credential, say), and its row in kinds.c; nothing else knows a kind by name.
 * build, judge, accept_token and origin are pure.
 */
#ifndef OG_PUSHD_PROVIDER_PROVIDER_H
#define OG_PUSHD_PROVIDER_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "pushd/conf.h"
#include "pushd/credential/material.h"
#include "pushd/provider/environment.h"
#include "pushd/provider/notification.h"
#include "pushd/provider/verdict.h"

/* What stays the same for all requests to one endpoint with one credential; all borrowed. */
struct provider_settings {
	const char *endpoint;            /* its origin: "https://host[:port]" */
	const void *own;                 /* the kind's keys, as conf_own() gives them */
	const struct material *material; /* the credential; NULL: none yet */
	int64_t expiry_s;
};

/* How much of the content is left out, so that a payload fits. */
enum provider_cut {
	CUT_NOTHING,
	CUT_TEXT, /* without the body or what is encrypted */
	CUT_ALL,  /* the account and the count alone */
};

/* What a request needs of a device; texts are borrowed, NULL: none. */
struct provider_device {
	const char *node;
	const char *token;
	const char *second_token;  /* for calls */
	const char *account;       /* what the app knows the account by */
	const char *channel;       /* what it knows the room by, where that alone is registered */
	enum conf_content content; /* what goes in clear; not CONF_CONTENT_DIALECT */
};

/* The token of DEVICE to which a notification of PRIORITY goes. */
static inline const char *provider_device_token(const struct provider_device *device,
                                                enum priority priority)
{
	return priority == PRIORITY_VOIP ? device->second_token : device->token;
}

/* One notification for one device, as build needs it; texts are borrowed. */
struct provider_message {
	const struct provider_settings *settings;
	const struct notification *notification;
	enum priority priority;    /* PRIORITY_VOIP: to the second token */
	const char *account;       /* what the app knows the account by; NULL: it needs none */
	const char *channel;       /* what it knows the room by; NULL: it isn't about one room */
	const char *node;          /* the device's */
	enum conf_content content; /* what goes in clear; not CONF_CONTENT_DIALECT */
	const char *token;         /* where it goes: for PRIORITY_VOIP the second one */
	const char *bearer;        /* the provider's token; NULL: the connection says who we are */
	const char *id;            /* lower-case UUID, the same for all attempts */
	int64_t now_s;             /* since the epoch */
	int64_t expires_s;         /* by then it is of no use any more; not kept if expiry_s is 0 */
	enum provider_cut cut;     /* at least this is left out */
	struct arena *arena;       /* where the request's texts go */
};

#define PROVIDER_HEADERS_MAX 8

struct provider_request {
	const char *url;
	const char *headers[PROVIDER_HEADERS_MAX + 1]; /* ended by NULL */
	const char *body;
	size_t body_len;
	enum provider_cut cut; /* what was left out in the end */
};

/* Which of the service's environments a configured provider sends to. */
struct provider_environments {
	enum environment own;
	enum environment
	        other; /* where a token that is bad in its own is tried; UNKNOWN: nowhere */
};

enum provider_protocol {
	PROTOCOL_H2,     /* HTTP/2 over TLS alone: a server that lacks it is sent nothing */
	PROTOCOL_HTTP11, /* HTTP/1.1: one request at a time on each connection */
};

#define PROVIDER_ORIGIN_MAX 300 /* "https://", a name of 253 bytes, a port, and a NUL */

struct provider_kind {
	struct conf_kind conf; /* its name and its keys in [provider ID] */
	/* What is wrong with PROVIDER's keys beyond their table (heap), or NULL; opens no file. */
	char *(*check)(const struct conf_provider *provider);
	/* Which credential PROVIDER needs: its forms, and the file that is configured. */
	void (*credential)(const struct conf_provider *provider, struct credential_wanted *wanted);
	/*
	 * The same for calls alone, used once its file is configured; only for kinds whose origin
	 * is the same for all tokens. NULL: the kind has no such thing.
	 */
	void (*call_credential)(const struct conf_provider *provider,
	                        struct credential_wanted *wanted);
	/* NULL: the service has one environment. */
	void (*environments)(const struct conf_provider *provider,
	                     struct provider_environments *environments);
	/*
	 * Where a notification for TOKEN is sent, in ENVIRONMENT. TOKEN is NULL at first: true
	 * where it is the same for all tokens; else each of them is asked for, and false means that
	 * it can't be sent anywhere.
	 */
	bool (*origin)(const struct conf_provider *provider, enum environment environment,
	               const char *token, char origin[PROVIDER_ORIGIN_MAX]);
	enum provider_protocol protocol;
	unsigned streams_max; /* requests on one connection at once */
	/* The headers of an answer that judge reads, in answer->wanted. */
	const char *wanted[PROVIDER_WANTED_MAX];
	/* Checks a device token and brings it into the form that is sent; false: malformed. */
	bool (*accept_token)(char *token);
	/* Fills REQUEST; 0, or -1 when no form of it fits the provider's limit. */
	int (*build)(const struct provider_message *message, struct provider_request *request);
	void (*judge)(const struct provider_answer *answer, struct judgement *judgement);
};

#endif
