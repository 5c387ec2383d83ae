/*
 * Devices in Redis: who registered which token with which provider, under a node that only we can
 * name. The keys are in schemas/redis.md; each change of a device with its indexes is one script.
 *
 * Every answer comes in a later turn, once, unless the call was cancelled. STORED_AWAY means that
 * Redis didn't answer or refused: nothing is known then.
 */
#ifndef OG_PUSHD_DEVICE_H
#define OG_PUSHD_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/redis.h"

enum stored {
	STORED_DONE,
	STORED_ABSENT, /* there is no such device */
	STORED_NEWER,  /* there is one, but it was registered again since */
	STORED_AWAY,
};

/* A registration. Texts are NULL where there is none; whose they are depends on who filled it. */
struct device {
	const char *node;   /* 32 hex digits: what the server publishes to */
	const char *secret; /* 32 hex digits */
	const char *component;
	const char *owner; /* bare JID */
	const char *provider;
	const char *token;
	const char *second_token;
	const char *device_id; /* where the dialect has one */
	const char *dialect;   /* "tigase" or "p2" */
	const char *account;   /* what the app knows the owner by */
	int64_t registered_ms; /* by Redis's clock, when it last came with this token */
};

struct device_limits {
	int64_t per_token;
	int64_t per_owner;
};

/* True when the dialect's publishes carry the secret. */
bool device_has_secret(const struct device *device);

#define DEVICE_HEX 33 /* 128 bits as hex digits, and a NUL */

struct device_registration {
	void (*done)(struct device_registration *registration, enum stored stored);
	char node[DEVICE_HEX];
	char secret[DEVICE_HEX];
	bool created;
	unsigned evicted; /* older ones that went because of the limits */
	struct redis_call call;
};

/*
 * Registers DEVICE (component, owner, provider, token, dialect and what it has of second_token and
 * device_id, all in the form in which they are compared), or renews what its key stands for.
 */
void device_register(struct device_registration *registration, struct redis *redis,
                     const struct device *device, const struct device_limits *limits);

/* A look at devices, by node or by owner. */
struct device_query {
	/* DEVICES and their texts are borrowed for the call. */
	void (*done)(struct device_query *query, enum stored stored, const struct device *devices,
	             size_t count);
	struct redis_call call;
};

/* One device; STORED_ABSENT when there is none. */
void device_find(struct device_query *query, struct redis *redis, const char *node);

/* All of OWNER's, the newest first; an empty answer is STORED_DONE. */
void device_list(struct device_query *query, struct redis *redis, const char *owner);

struct device_removal {
	void (*done)(struct device_removal *removal, enum stored stored);
	unsigned count; /* how many have gone */
	struct redis_call call;
};

/*
 * Removes the registrations of DEVICE's owner and token; only those of its component and its
 * provider where these aren't NULL. Upper and lower case of a token are the same here.
 */
void device_unregister(struct device_removal *removal, struct redis *redis,
                       const struct device *device);

/* Removes one by its node. */
void device_remove(struct device_removal *removal, struct redis *redis, const char *node);

/*
 * Removes DEVICE (node, token, second_token), whose token is dead since BEFORE_MS, or only the
 * second token; unless it has another one now or was registered after that: STORED_NEWER.
 */
void device_bury(struct device_removal *removal, struct redis *redis, const struct device *device,
                 bool second, int64_t before_ms);

#endif
