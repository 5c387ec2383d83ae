/*
 * The way to one endpoint with one credential: a queue by priority, the connections with their
 * windows, what may be sent again within its deadline, and the breaker that keeps us from hammering
 * a provider that can't be reached or doesn't take our credential.
 */
#ifndef OG_PUSHD_SENDER_LANE_H
#define OG_PUSHD_SENDER_LANE_H

#include <stdbool.h>
#include <stddef.h>

#include "pushd/conf.h"
#include "pushd/credential/credential.h"
#include "pushd/provider/environment.h"
#include "pushd/sender/breaker.h"
#include "pushd/sender/job.h"
#include "pushd/sender/pacer.h"
#include "pushd/sender/pool.h"
#include "pushd/sender/queue.h"

struct lane {
	/* Set before lane_start(), all borrowed. */
	void (*done)(struct job *job);
	const struct conf_provider *provider;
	const struct provider_kind *kind;
	struct credential *credential;
	struct pacer *pacer;
	char endpoint[PROVIDER_ORIGIN_MAX];
	enum environment environment;
	/* The module's own. */
	struct provider_settings settings;
	struct queue queue;
	struct pool pool;
	struct breaker breaker;
	unsigned version;   /* of the credential that the connections were made for */
	bool lacking;       /* the breaker is open for want of a credential */
	uint64_t warned_ms; /* when a failure was last logged */
	struct task pump;
};

void lane_start(struct lane *lane);

/* Its jobs must have been cancelled or done. */
void lane_stop(struct lane *lane);

/* Takes JOB; done runs once in a later turn. */
void lane_submit(struct lane *lane, struct job *job);

/* Forgets JOB wherever it is; done will not run. */
void lane_cancel(struct job *job);

/* The pacer may let something through. */
void lane_wake(struct lane *lane);

/* The credential has changed: where it is another one, all connections are made anew. */
void lane_renew(struct lane *lane);

/* How many could go on the wire at once beside what is queued. */
unsigned lane_room(const struct lane *lane);

/* Makes the lanes' metrics known. */
void lane_metrics(void);

#endif
