/*
 * The relays and push daemons behind this gateway: found in the registry (or, without Redis, in the
 * configuration), chosen for a request, and avoided for a while when they can't be reached.
 */
#ifndef OG_XMPPGW_BACKEND_BACKEND_H
#define OG_XMPPGW_BACKEND_BACKEND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/redis/redis.h"

enum backend_kind { BACKEND_RELAY, BACKEND_PUSH };

struct backend {
	struct list_link link; /* among its kind */
	char *id;
	const char *url; /* of its API; part of the record */
	json_t *record;  /* as in schemas/registry, owned */
	bool listed;     /* in the last reading of the registry */
	bool draining;
	unsigned users; /* who keep a pointer: it is freed when unlisted and unused */
	uint64_t avoided_until_ms;
	unsigned pending; /* relay: how often it was recommended lately */
	/* Of publish.c: */
	struct list waiting;     /* publishes that wait for a call */
	struct list_link queued; /* among the push daemons for which any wait */
	unsigned calls;          /* in flight */
};

/* Module. */
extern const struct daemon_module backend_module;

/* Called (if set) when a push daemon came, went or changed. */
void backend_on_change(void (*changed)(void));

/* The connection to Redis, or NULL with redis = none. */
struct redis *backend_redis(void);

/* True once all backends of the kind are known: the registry was read. */
bool backend_known(enum backend_kind kind);

/* The first of KIND and the next ones, those that are draining too; NULL at the end. */
struct backend *backend_first(enum backend_kind kind);
struct backend *backend_next(const struct backend *backend, enum backend_kind kind);

/* The one named ID, also if it is draining, or NULL. */
struct backend *backend_find(enum backend_kind kind, const char *id);

/*
 * Any of KIND for a call that each of them can serve: one to which work may go, else one that is
 * draining or avoided; NULL when there is none.
 */
struct backend *backend_any(enum backend_kind kind);

/*
 * The relay to recommend: the better of two random ones, by streams and by what we recommended
 * lately; or NULL.
 */
struct backend *backend_recommend(void);

/*
 * The push daemon for KEY: the same for every gateway as long as the same ones live (rendezvous
 * hashing), so that a device's notifications meet. NULL when there is none.
 */
struct backend *backend_for(const char *key);

/*
 * Writes the ids of the providers that any push daemon has, each once and at most MOST, to IDS
 * (borrowed until the next turn of the loop); returns how many.
 */
size_t backend_providers(const char **ids, size_t most);

/* True if work may go to it: listed, not draining, not avoided. */
bool backend_available(const struct backend *backend);

/* It can't be reached or doesn't take work: it isn't chosen for a moment. */
void backend_avoid(struct backend *backend);

/* Keeps BACKEND in place until it is dropped. */
void backend_retain(struct backend *backend);
void backend_release(struct backend *backend);

#endif
