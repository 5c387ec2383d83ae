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

enum backend_kind { BACKEND_RELAY, BACKEND_PUSH };

struct backend {
	struct list_link link; /* among its kind */
	char *id;
	const char *url; /* of its API; part of the record */
	json_t *record;  /* as in schemas/registry, owned */
	bool listed;     /* in the last reading of the registry */
	bool draining;
	bool full;      /* relay: it takes no first half of another stream */
	unsigned users; /* that retain it: it is freed when it is neither listed nor retained */
	uint64_t avoided_until_ms;
	unsigned pending; /* relay: how often it was recommended lately */
	/* publish_send.c's: */
	struct list waiting;     /* publishes that wait for a call */
	struct list_link queued; /* among the push daemons for which any wait */
	unsigned calls;          /* in flight */
};

/* Module. */
extern const struct daemon_module backend_module;

/* CHANGED (NULL: nothing) is called when a push daemon came, went or changed. */
void backend_on_change(void (*changed)(void));

/* True once all backends of the kind are known: the registry was read. */
bool backend_known(enum backend_kind kind);

/* The first of KIND and the next ones, those that are draining too; NULL at the end. */
struct backend *backend_first(enum backend_kind kind);
struct backend *backend_next(const struct backend *backend, enum backend_kind kind);

/* The one named ID, also if it is draining, or NULL. */
struct backend *backend_find(enum backend_kind kind, const char *id);

/*
 * A random one of KIND, for a call that any can serve: an available one, else one that drains or is
 * avoided; NULL when there is none.
 */
struct backend *backend_any(enum backend_kind kind);

/*
 * The relay to recommend to clients: of two random ones that aren't full the one with fewer
 * streams, those that it was recommended for lately included. NULL when there is none; *FULL
 * says whether some are available that are full.
 */
struct backend *backend_recommend(bool *full);

/*
 * The push daemon for KEY (rendezvous hashing): as long as the same ones live, every gateway gets
 * the same, so one daemon sees all notifications of a device. NULL when none is available.
 */
struct backend *backend_for(const char *key);

/*
 * Writes the ids of the providers that any push daemon has, each once and at most MOST, to IDS
 * (borrowed until the next turn of the loop); returns how many.
 */
size_t backend_providers(const char **ids, size_t most);

/*
 * The id of the provider that serves COMMAND, an ad-hoc command that names none (borrowed until the
 * next turn of the loop); NULL when no push daemon says so.
 */
const char *backend_provider_for(const char *command);

/* True if work may go to it: listed, not draining, not avoided. */
bool backend_available(const struct backend *backend);

/* BACKEND couldn't be reached: it isn't chosen for a second. */
void backend_avoid(struct backend *backend);

/* BACKEND isn't freed before each retain has its release. */
void backend_retain(struct backend *backend);
void backend_release(struct backend *backend);

#endif
