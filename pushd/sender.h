/*
 * Sends notifications to one configured provider: a queue by priority, connections with their
 * windows, the bearer token, what may be sent again within its deadline, and the breaker that keeps
 * us from hammering a provider that can't be reached or doesn't take our credential.
 */
#ifndef OG_PUSHD_SENDER_H
#define OG_PUSHD_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/http_client.h"
#include "common/list.h"
#include "common/loop.h"
#include "pushd/conf.h"
#include "pushd/device.h"
#include "pushd/notification.h"
#include "pushd/provider.h"
#include "pushd/uuid.h"

struct sender;

/* One notification on its way to one device. */
struct job {
	/* In: set before sender_submit(). */
	void (*done)(struct job *job);
	const struct notification *notification; /* borrowed until done or sender_abandon() */
	const struct device *device;             /* borrowed until done */
	enum priority priority;                  /* falls from VoIP to high where a call can't go */
	uint64_t deadline_ms; /* by loop_now_ms(): nothing is sent again after it */
	/* Out: valid in done. */
	struct judgement judgement;
	char id[UUID_TEXT]; /* apns-id, the same for all attempts */
	/* The sender's own. */
	struct sender *sender;
	struct list_link link; /* in a queue; in none while it waits or is on the wire */
	struct http_call call;
	struct connection *connection; /* NULL: not on the wire */
	struct provider_request request;
	struct arena arena; /* the request's texts */
	struct timer again;
	uint64_t sent_ns;
	enum provider_cut cut;
	unsigned attempts;
	unsigned generation; /* of the bearer token that it was sent with */
	bool renewed;        /* it has been sent again with another */
};

/* A sender for PROVIDER whose queue holds at most QUEUE_MAX; NULL with *WHY (heap). */
struct sender *sender_new(const struct conf_provider *provider, size_t queue_max, char **why);

/* Its jobs must have been abandoned or done. */
void sender_free(struct sender *sender);

/*
 * Takes JOB (all zeros but what is In); done runs once, in a later turn. False: the queue is full.
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

/* Makes the senders' metrics known. */
void sender_metrics(void);

#endif
