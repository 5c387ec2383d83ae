/*
 * One notification from the publish to its outcome: the device is looked up, the publisher is
 * checked, the sender sends, and a dead registration is taken away. `gone` is only said when
 * storage said so.
 */
#ifndef OG_PUSHD_DELIVERY_H
#define OG_PUSHD_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "pushd/device.h"
#include "pushd/notification.h"
#include "pushd/sender.h"

enum outcome {
	OUTCOME_SENT,
	OUTCOME_QUEUED, /* stored: it will be sent, by whoever serves the store */
	OUTCOME_MERGED, /* a newer one for its device is sent or stored in its place */
	OUTCOME_GONE,
	OUTCOME_UNAVAILABLE,
	OUTCOME_COUNT
};

extern const char *const outcome_names[OUTCOME_COUNT + 1];

struct delivery {
	/* In: set before delivery_start(). */
	void (*settled)(struct delivery *delivery); /* DELIVERY may be freed in it */
	struct notification notification; /* its texts are borrowed until settled or abandoned */
	uint64_t deadline_ms;             /* by loop_now_ms() */
	/* Out: valid in settled. */
	enum outcome outcome;
	char reason[JUDGEMENT_REASON_MAX]; /* of OUTCOME_UNAVAILABLE */
	char id[JUDGEMENT_ID_MAX];         /* what the provider calls it: OUTCOME_SENT */
	/* The module's own. */
	struct list_link link;
	struct device_query query;
	struct device device; /* its texts are in ARENA */
	struct device_removal removal;
	struct job job;
	struct arena arena;
	bool in_sender, abandoned;
};

/* For the daemon's table of modules. */
int deliveries_start(void *config);
void deliveries_stop(void);

/* How many are under way. */
size_t deliveries_count(void);

/* Called (if set) whenever the last one has settled. */
void deliveries_on_idle(void (*idle)(void));

/*
 * Starts DELIVERY, all zeros but what is In; settled is called once, perhaps before this returns.
 */
void delivery_start(struct delivery *delivery);

/*
 * Nobody waits for the outcome any more: it is not sent, unless it is on the wire already; then its
 * verdict is still heeded. settled is called as ever, perhaps before this returns.
 */
void delivery_abandon(struct delivery *delivery);

#endif
