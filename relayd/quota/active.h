/*
 * How many active streams each charged user and each domain has at this relay, so that nobody
 * takes all its connections: streams-per-user-max and streams-per-domain-max. Each relay counts by
 * itself. With a rate, a user's streams share a bucket.
 */
#ifndef OG_RELAYD_QUOTA_ACTIVE_H
#define OG_RELAYD_QUOTA_ACTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relayd/quota/lease.h"

struct bucket;

struct active_user {
	/* Which the bytes of all its streams are taken from; owned; NULL until a rate is set. */
	struct bucket *bucket;
	/* The module's own. */
	struct active_domain *domain;
	size_t streams;
	size_t key_len;
	char key[]; /* user, NUL, domain: the party's domain needn't be that of its JID */
};

/* What a stream counts for; all zeros: nothing. */
struct active {
	struct active_user *users[2]; /* that are charged, each once; NULL: none */
};

/* Whose cap is reached. */
struct active_excess {
	const char *account; /* a bare JID or a domain, borrowed from the parties */
	bool is_user;
	int64_t most;
};

/* Module. The configuration stays borrowed: the caps may change. */
extern const struct daemon_module active_module;

/*
 * Counts a stream between PARTIES for those of them that are charged. False if one of them, or its
 * domain, has as many as it may, which EXCESS then names. ACTIVE must be all zeros.
 */
bool active_take(struct active *active, const struct party parties[2],
                 struct active_excess *excess);

/* Counts the stream no more: ACTIVE becomes all zeros, which it may be already. */
void active_release(struct active *active);

#endif
