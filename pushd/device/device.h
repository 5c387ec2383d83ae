/*
 * Devices in Redis: who registered which token with which provider, under a node that only we can
 * name. The keys are in schemas/redis.md; each change of a device with its indexes is one script.
 *
 * Every answer comes in a later turn of the loop, once, unless the call was cancelled.
 * DEVICE_UNAVAILABLE means that Redis didn't answer or refused: nothing is known then.
 */
#ifndef OG_PUSHD_DEVICE_DEVICE_H
#define OG_PUSHD_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/redis/redis.h"
#include "pushd/provider/provider.h"

enum device_result {
	DEVICE_DONE,
	DEVICE_ABSENT, /* there is no such device */
	DEVICE_NEWER,  /* there is one, but it was registered again since */
	DEVICE_ALIAS,  /* the node is another name, for the devices that the answer has */
	DEVICE_LIMIT,  /* it would be one too many: enum device_limit */
	DEVICE_UNAVAILABLE,
};

/* A registration. A text that it lacks is NULL; whoever filled it owns the texts. */
struct device {
	const char *node;   /* 32 hex digits: what the server publishes to */
	const char *secret; /* 32 hex digits */
	const char *component;
	const char *owner; /* bare JID */
	const char *provider;
	const char *token;
	const char *second_token;
	const char *device_id;  /* where the dialect has one */
	const char *channel;    /* a room (bare JID), if that alone is registered; with DEVICE_ID */
	const char *channel_id; /* what the app knows that room by */
	const char *dialect;    /* a name in dialect.h */
	const char *account;    /* what the app knows the owner by */
	const char *alias;      /* another name, which it may share: device_find_alias() */
	const char *environment; /* the provider's, where its token was good last; NULL: unknown */
	int64_t registered_ms;   /* by Redis's clock, when it last came with this token */
	int64_t expires_ms;      /* by Redis's clock; 0: never */
	bool proven;             /* its provider accepted one: device_record_success() */
	unsigned suspect_days;   /* on so many its token was doubtful: device_mark_suspect() */
};

struct device_limits {
	int64_t per_token; /* the oldest goes, as with the next one */
	int64_t per_owner; /* of a user, not of a domain */
	int64_t ttl_ms;    /* of the dialects that renew */
	/* Beyond these a new device is refused; one that is there is renewed all the same. */
	int64_t all, per_domain;
	int64_t domain_rate, domain_burst; /* new ones of a domain in a second (0: any), at once */
};

/* Which of them refused a new device. */
enum device_limit {
	DEVICE_LIMIT_ALL,
	DEVICE_LIMIT_DOMAIN,
	DEVICE_LIMIT_RATE, /* it may come again in a second */
	DEVICE_LIMIT_COUNT
};

/* True when the dialect's publishes carry the secret. */
bool device_has_secret(const struct device *device);

/*
 * What a request needs of DEVICE (borrowed), as its dialect has it; CONTENT is its provider's. A
 * device without a dialect's name is one whose app knows its owner by name.
 */
struct provider_device device_for_provider(const struct device *device, enum conf_content content);

#define DEVICE_HEX 33 /* 128 bits as hex digits, and a NUL */

/* True for the form of a node; no app's device token is so short. */
bool device_is_node(const char *text);

struct device_registration {
	void (*done)(struct device_registration *registration, enum device_result result);
	char node[DEVICE_HEX];
	char secret[DEVICE_HEX];
	bool created;
	unsigned evicted;        /* older ones that went because of the limits */
	enum device_limit limit; /* with DEVICE_LIMIT */
	struct redis_call call;
};

/*
 * Registers DEVICE (component, owner, provider, token, dialect, and second_token, device_id,
 * channel and alias if it has them, all in the form in which they are compared), or renews the
 * device with the same key, which keeps its alias if DEVICE has none. Its token is no longer held
 * dead, nor suspect. DEVICE_ABSENT when the alias has DEVICE_ALIAS_MAX devices already;
 * DEVICE_LIMIT when the device is new and LIMITS, which count over all pushds, have no room for it.
 */
void device_register(struct device_registration *registration, struct redis *redis,
                     const struct device *device, const struct device_limits *limits);

/* A query for devices, by node or by owner. */
struct device_query {
	/* DEVICES and their texts are borrowed for the call. */
	void (*done)(struct device_query *query, enum device_result result,
	             const struct device *devices, size_t count);
	bool waiting; /* of one device: a notification for it waits in the queue (`push:slot:`) */
	/* The module's own. */
	char node[DEVICE_HEX]; /* that was asked for */
	struct redis_call device_call, slot_call;
	struct implicit *implicit; /* to be registered if it isn't there */
};

/* Forgets QUERY: done won't run. Does nothing when it isn't under way. */
void device_query_cancel(struct device_query *query);

/* One device; DEVICE_ABSENT when there is none. */
void device_find(struct device_query *query, struct redis *redis, const char *node);

#define DEVICE_ALIAS_MAX 16    /* devices under one alias */
#define DEVICE_ALIAS_BYTES 512 /* of its name */

/*
 * The devices for which NAME stands, by their nodes alone, with DEVICE_ALIAS; DEVICE_ABSENT when
 * it stands for none. An alias is what another push service called them before they came here.
 */
void device_find_alias(struct device_query *query, struct redis *redis, const char *name);

/*
 * DEVICE (node, alias) is known to its server by its own node, so its alias doesn't stand for it
 * any more. Best effort, nobody waits for it.
 */
void device_leave_alias(struct redis *redis, const struct device *device);

/*
 * The device of the dialect fpush with the component, owner (the publisher's domain), provider and
 * token of DEVICE, all copied. If there is none it is registered implicitly (over LIMITS the
 * token's oldest device goes), unless the token is held dead: DEVICE_ABSENT; or, with the devices,
 * unless the alias of DEVICE (copied likewise, may be NULL) is one: DEVICE_ALIAS; or LIMITS have no
 * room for a new one: DEVICE_LIMIT. Its life begins anew when less than half of it is left.
 */
void device_find_or_register(struct device_query *query, struct redis *redis,
                             const struct device *device, const struct device_limits *limits);

/* All devices of OWNER, the newest first; an empty answer is DEVICE_DONE. */
void device_list(struct device_query *query, struct redis *redis, const char *owner);

struct device_removal {
	void (*done)(struct device_removal *removal, enum device_result result);
	unsigned count; /* how many have gone */
	char last[48];  /* device_forget_gone(): the entry behind which it goes on; "": at the
	                   beginning, or none is left */
	struct redis_call call;
};

/*
 * Removes the registrations of DEVICE's owner and token; only those of its component and its
 * provider where these aren't NULL. Upper and lower case of a token are the same here. Without a
 * token: of the device with its device_id, that for the room channel_id, or for none if it's NULL.
 */
void device_unregister(struct device_removal *removal, struct redis *redis,
                       const struct device *device);

/*
 * Removes up to MOST devices of OWNER with what is known of their notifications; fewer than MOST:
 * there are no more.
 */
void device_forget(struct device_removal *removal, struct redis *redis, const char *owner,
                   unsigned most);

/*
 * Looks at the next MOST entries of the stream that tells gateways of gone devices, and deletes
 * those of OWNER's devices. Call it with the same REMOVAL again until its last is "". DEVICE_DONE,
 * or DEVICE_UNAVAILABLE.
 */
void device_forget_gone(struct device_removal *removal, struct redis *redis, const char *owner,
                        unsigned most);

/* Removes one by its node. */
void device_remove(struct device_removal *removal, struct redis *redis, const char *node);

/*
 * Removes DEVICE (node, token, second_token), whose token is dead since BEFORE_MS, or only the
 * second token; unless it has another token now or was registered after that: DEVICE_NEWER. With it
 * go the other devices of this token and provider that were registered no later; if none is left
 * the token is held dead for DEVICE_DEAD_MS, or until it is registered. All are counted. A device
 * of fpush is never newer: a publish to a token doesn't show that the token is alive.
 */
void device_remove_dead(struct device_removal *removal, struct redis *redis,
                        const struct device *device, bool second, int64_t before_ms);

#define DEVICE_DEAD_MS (24 * 3600 * 1000)

/*
 * Removes DEVICE alone, whose token may live, unless it was registered since it was found (node,
 * token and registered_ms): DEVICE_NEWER.
 */
void device_remove_if_unchanged(struct device_removal *removal, struct redis *redis,
                                const struct device *device);

/*
 * Removes up to MOST devices whose life is over; fewer than MOST: there are no more. DEVICE_ABSENT
 * when there are none.
 */
void device_expire(struct device_removal *removal, struct redis *redis, unsigned most);

struct device_suspicion {
	void (*done)(struct device_suspicion *suspicion, enum device_result result);
	unsigned days; /* with DEVICE_DONE: on how many different days (UTC) it was suspect, with
	                  today; of a device that isn't proven: how often */
	struct redis_call call;
};

/*
 * Remembers that the token of DEVICE (node, token) was suspect today. DEVICE_NEWER when it has
 * another token by now.
 */
void device_mark_suspect(struct device_suspicion *suspicion, struct redis *redis,
                         const struct device *device);

/*
 * A notification was sent to DEVICE (node, token, environment, proven, suspect_days as they were
 * found): its token is proven and not suspect, and good in ENVIRONMENT (NULL: it says nothing).
 * Written only when that is new; best effort, nobody waits for it.
 */
void device_record_success(struct redis *redis, const struct device *device,
                           const char *environment);

#endif
