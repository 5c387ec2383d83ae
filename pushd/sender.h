/*
 * Sends notifications to one configured provider: a queue by priority, connections with their
 * windows, the bearer token, what may be sent again within its deadline, and the breaker that keeps
 * us from hammering a provider that can't be reached or doesn't take our credential.
 */
#ifndef OG_PUSHD_SENDER_H
#define OG_PUSHD_SENDER_H

#include <stdbool.h>
#include <stddef.h>

#include "pushd/conf.h"
#include "pushd/job.h"

struct sender;

/* A sender for PROVIDER whose queue holds at most QUEUE_MAX; NULL with *WHY (heap). */
struct sender *sender_new(const struct conf_provider *provider, size_t queue_max, char **why);

/* Its jobs must have been abandoned or done. */
void sender_free(struct sender *sender);

/*
 * Takes JOB (all zeros but what is In); done runs once, after this has returned. False: the queue
 * is full.
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

/* "ready", or "open" while the breaker keeps notifications away. */
const char *sender_state(const struct sender *sender);

/* How many wait for room on a connection. */
size_t sender_queued(const struct sender *sender);

/* Makes the senders' metrics known. */
void sender_metrics(void);

#endif
