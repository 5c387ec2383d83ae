/*
 * Sends notifications to one configured provider, with its credential and at its pace: to the
 * endpoint of its environment or of the other one, or to those that the tokens name. It also says
 * when a provider's word against a token can't be believed. All configured providers have a sender.
 */
#ifndef OG_PUSHD_SENDER_SENDER_H
#define OG_PUSHD_SENDER_SENDER_H

#include <stdbool.h>
#include <stddef.h>

#include "pushd/conf.h"
#include "pushd/sender/endpoint.h"

struct sender;

/* A sender for PROVIDER, of KIND, with at most QUEUE_MAX waiting; NULL with *WHY (heap). */
struct sender *sender_new(const struct provider_kind *kind, const struct conf_provider *provider,
                          size_t queue_max, char **why);

/* Its jobs must have been abandoned or done. */
void sender_free(struct sender *sender);

/* Why a new notification need not be submitted now. */
enum sender_refusal {
	SENDER_TAKES,
	SENDER_UNREACHABLE, /* the provider can't be reached, or the project sends too much */
	SENDER_PACED,       /* a second's worth of rate-max waits already; a call still goes */
	SENDER_CREDENTIAL,  /* nothing can be sent until an operator mends the credential */
};

/*
 * Why a job would not be sent soon. UNREACHABLE and PACED pass by themselves, CREDENTIAL doesn't.
 * Once the breaker's pause has ended it is SENDER_TAKES: the next job is the probe. A provider
 * whose tokens name their origins is never UNREACHABLE as a whole.
 */
enum sender_refusal sender_refusal(const struct sender *sender);

/*
 * How many more jobs could be sent at once, beside those that are queued: 0 during the breaker's
 * pause, 1 for the probe after it.
 */
unsigned sender_room(const struct sender *sender);

/*
 * True when its recent answers show that the credential and the payloads are good, so that a token
 * which the provider calls bad is bad: nothing is deleted because of a fault on our side.
 */
bool sender_trusted(const struct sender *sender);

/*
 * Takes JOB (all zeros but what is In); done runs once, after this has returned. False: the queue
 * is full, or there are too many endpoints.
 */
bool sender_submit(struct sender *sender, struct job *job);

/*
 * The caller has gone. True: JOB is forgotten, done will not run. False: it is on the wire, so done
 * still gets its verdict; JOB's notification isn't used any more.
 */
bool sender_abandon(struct job *job);

/* Forgets JOB wherever it is; done will not run. */
void sender_cancel(struct job *job);

const struct conf_provider *sender_provider(const struct sender *sender);

/* Breakers (borrowed) that have seen no success since they opened, or NULL. */
struct sender_trouble {
	const struct breaker *all;
	const struct breaker *calls; /* of what calls alone use, by a credential of their own */
};

/*
 * "ready"; "credential" without a usable credential; "credential" or "unreachable" while the
 * breaker is open. Fills TROUBLE (may be NULL).
 */
const char *sender_state(const struct sender *sender, struct sender_trouble *trouble);

/* How many wait for room on a connection. */
size_t sender_queued(const struct sender *sender);

/*
 * True if it has a credential whose dates are valid: without one nothing can be sent. True also
 * after a start until Redis has said whether a credential is stored.
 */
bool sender_has_credential(const struct sender *sender);

/* For the daemon's table of modules. */
extern const struct daemon_module senders_module;

/* Logs the state of each: for the daemon's dump. */
void senders_dump(void);

/* The sender of the provider ID, or NULL when none is configured. */
struct sender *senders_find(const char *id);

size_t senders_count(void);
struct sender *senders_at(size_t index);

#endif
