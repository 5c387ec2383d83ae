/*
 * One notification on its way to one device: what is to be sent, as which request, what came of it.
 */
#ifndef OG_PUSHD_SENDER_JOB_H
#define OG_PUSHD_SENDER_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/http/http_client.h"
#include "pushd/device/device.h"
#include "pushd/provider/environment.h"
#include "pushd/provider/provider.h"
#include "pushd/sender/uuid.h"

struct job {
	/* In: set before sender_submit(). */
	void (*done)(struct job *job);
	const struct notification *notification; /* borrowed until done or sender_abandon() */
	const struct device *device;             /* borrowed until done */
	enum priority priority;                  /* falls from VoIP to high where a call can't go */
	uint64_t deadline_ms; /* by loop_now_ms(): nothing is sent again after it */
	int64_t expires_s;    /* by the wall clock, since the epoch: the provider keeps it until
	                         then; 0: from now for as long as the provider's expiry says */
	char id[UUID_TEXT];   /* apns-id, the same for all attempts; "": sender_submit() makes it */
	enum environment environment; /* where the token worked the last time; also Out: where it
	                                 works, to be kept with the device if that is another */
	/* Out: valid in done. */
	struct judgement judgement;
	/* The sender's own. */
	struct sender *sender;
	struct lane *lane;
	struct list_link link; /* in a queue; in none while it waits or is on the wire */
	struct http_call call;
	struct connection *connection; /* NULL: not on the wire */
	struct provider_request request;
	struct arena arena; /* the request's texts */
	struct timer again;
	uint64_t sent_ns;
	enum provider_cut cut;
	unsigned attempts;      /* those that may have been processed */
	unsigned refusals;      /* those that were not */
	unsigned generation;    /* of the bearer token that it was sent with */
	unsigned version;       /* of the credential that it was sent with */
	bool renewed;           /* it has been sent again with another bearer token */
	bool moved;             /* to the other environment */
	struct judgement first; /* what was said before that */
};

/*
 * Makes the request anew, with the bearer token and the time of now. A call that can't go as one
 * goes as an alert to the first token. Returns 0, or -1 when no form of it fits.
 */
int job_build(struct job *job, const struct provider_kind *kind,
              const struct provider_settings *settings, const char *bearer);

/* Judges it without an answer of the provider. */
void job_judge(struct job *job, enum verdict verdict, const char *reason);

/* How long to wait before the next attempt, after one that wasn't processed. */
uint64_t job_retry_delay_ms(const struct job *job);

#endif
