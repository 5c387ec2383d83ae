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
	SENDER_UNREACHABLE, /* nobody answers there, or the project sends too much in all */
	SENDER_PACED,       /* more wait than rate-max lets out in a second; a call still goes */
	SENDER_CREDENTIAL,  /* nothing goes until someone mends the credential */
};

/*
 * What submitting would come to: the first two are a matter of time, the last one isn't. Once the
 * breaker's pause has ended it is SENDER_TAKES, and what comes next is the probe.
 */
enum sender_refusal sender_refusal(const struct sender *sender);

/*
 * How many could go on the wire at once beside what is queued already: 0 while the breaker pauses,
 * 1 for the probe after it.
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
 * Nobody waits for JOB any more. True: it was forgotten, done will not run. False: it is on the
 * wire, so its verdict will still come to done; its notification isn't used any more.
 */
bool sender_abandon(struct job *job);

/* Forgets JOB wherever it is; done will not run. */
void sender_cancel(struct job *job);

const struct conf_provider *sender_provider(const struct sender *sender);

/*
 * "ready"; "credential" while there is none that is any good; this or "unreachable" while the
 * breaker keeps notifications away.
 */
const char *sender_state(const struct sender *sender);

/* How many wait for room on a connection. */
size_t sender_queued(const struct sender *sender);

/* True if it has a credential whose dates are valid: without one nothing can be sent. */
bool sender_has_credential(const struct sender *sender);

/* For the daemon's table of modules. */
extern const struct daemon_module senders_module;

/* Logs how each is: for the daemon's dump of its state. */
void senders_dump(void);

/* The sender of the provider ID, or NULL when none is configured. */
struct sender *senders_find(const char *id);

size_t senders_count(void);
struct sender *senders_at(size_t index);

#endif
