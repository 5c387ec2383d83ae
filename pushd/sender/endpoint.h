/*
 * One origin of a provider's with one credential: jobs that wait by priority, the connections with
 * their windows, what may be sent again within its deadline, and the breaker that keeps us from
 * hammering a provider that can't be reached or doesn't take our credential.
 *
 * A job is one notification on its way to one device.
 */
#ifndef OG_PUSHD_SENDER_ENDPOINT_H
#define OG_PUSHD_SENDER_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/http/http_client.h"
#include "pushd/conf.h"
#include "pushd/credential/credential.h"
#include "pushd/provider/provider.h"
#include "pushd/sender/breaker.h"
#include "pushd/sender/pacer.h"
#include "pushd/sender/uuid.h"

struct endpoint;

struct job {
	/* In: set before sender_submit(). */
	void (*done)(struct job *job);
	const struct notification *notification; /* borrowed until done or sender_abandon() */
	struct provider_device device;           /* its texts are borrowed until done */
	enum priority priority; /* falls from VoIP to high where the call can't go as one */
	uint64_t deadline_ms;   /* by loop_now_ms(): nothing is sent again after it */
	int64_t expires_s;      /* by the wall clock, since the epoch: the provider keeps it until
	                           then; 0: from now for as long as the provider's expiry says */
	char id[UUID_TEXT];     /* the same for all attempts; "": sender_submit() makes it */
	bool unproven;          /* no notification was sent to the token yet: it may be bogus */
	enum environment environment; /* where the token worked the last time; also Out: where it
	                                 works, to be kept with the device if that is another */
	/* Out: valid in done. */
	struct judgement judgement;
	/* The sender's own. */
	struct sender *sender;
	bool moved;             /* to the other environment */
	struct judgement first; /* what was said before that */
	/* The endpoint's own. */
	struct endpoint *endpoint;
	struct list_link link; /* in a queue; in none while it waits or is on the wire */
	struct http_call call;
	struct connection *connection; /* NULL: not on the wire */
	struct list_link wire;         /* in its connection's list */
	struct provider_request request;
	struct arena arena; /* the request's texts */
	struct timer again;
	uint64_t sent_ns;
	enum provider_cut cut;
	bool too_large;      /* no form of it fits: nothing was sent */
	unsigned attempts;   /* those that may have been processed */
	unsigned refusals;   /* those that were not */
	unsigned generation; /* of the bearer token that it was sent with */
	unsigned version;    /* of the credential that it was sent with */
	bool renewed;        /* it has been sent again with another bearer token */
};

/* Jobs that wait for room on a connection: VoIP before high before low, else as they came. */
struct job_queue {
	struct list lists[PRIORITY_COUNT];
	size_t count;
};

/*
 * One connection to the origin, with our own window of requests on it: it starts at 1, doubles with
 * each success and falls to 1 after a rejection, as Apple's own limit does. The bodies in flight
 * fit into HTTP/2's initial flow-control window (RFC 9113, section 6.9.2), which Apple never
 * raises: Debian 12's libcurl spins while it is used up. A retired connection finishes the requests
 * on it and takes no new ones; one that the provider ends (GOAWAY) is retired at once.
 */
struct connection {
	struct http_pool_watch watch; /* of the pool */
	struct connections *all;      /* those it belongs to */
	struct http_pool *pool;
	struct list jobs; /* on the wire, or handed to the pool */
	bool answered;    /* it has brought an answer */
	unsigned window;
	unsigned window_max;
	unsigned in_flight;
	size_t body_bytes;     /* of those in flight */
	struct list_link link; /* in its endpoint's list of retired ones */
};

/* The connections made with one credential, as many as pool-size says, and the retired ones. */
struct connections {
	struct endpoint *endpoint;        /* whose they are */
	struct http_pool_options options; /* of every connection; texts are borrowed */
	struct connection **items;
	size_t size;
	struct list retired; /* they are freed once nothing is in flight on them */
};

/*
 * The devices to which something was sent before have connections of their own, and the others have
 * theirs: tokens that a stranger made up are rejected on the latter alone, and reset no window of
 * the former.
 */
enum lane { LANE_PROVEN, LANE_UNPROVEN, LANES };

struct endpoint {
	/* Set before endpoint_start(), all borrowed. */
	void (*done)(struct job *job);
	const struct conf_provider *provider;
	const struct provider_kind *kind;
	struct credential *credential;
	struct pacer *pacer;
	char origin[PROVIDER_ORIGIN_MAX];
	enum environment environment;
	/* Its owner's: where it keeps it. */
	struct list_link link;
	/* The module's own. */
	size_t jobs;  /* queued, on the wire or waiting for their next attempt */
	bool running; /* a callback of its own is */
	struct provider_settings settings;
	struct job_queue queues[LANES];
	struct connections connections[LANES];
	enum lane turn; /* which lane is asked first for the next job of the same priority */
	struct breaker breaker;
	unsigned version;          /* of the credential that the connections were made for */
	bool waits_for_credential; /* the breaker is open for want of one */
	unsigned doubts;           /* answers in a row that may mean a refused credential */
	uint64_t warned_ms;        /* when a failure was last logged */
	struct task pump;
};

void endpoint_start(struct endpoint *endpoint);

/* Its jobs must have been cancelled or done. */
void endpoint_stop(struct endpoint *endpoint);

/* Takes JOB; done runs once in a later turn. */
void endpoint_submit(struct endpoint *endpoint, struct job *job);

/* Forgets JOB wherever it is; done will not run. */
void endpoint_cancel(struct job *job);

/* The pacer may let a job through now. */
void endpoint_wake(struct endpoint *endpoint);

/* The credential's state changed; if it is another credential, all connections are made anew. */
void endpoint_renew(struct endpoint *endpoint);

/* True while it has no job and isn't itself running, so that it may be stopped. */
bool endpoint_idle(const struct endpoint *endpoint);

/* How many wait for room on a connection. */
static inline size_t endpoint_queued(const struct endpoint *endpoint)
{
	return endpoint->queues[LANE_PROVEN].count + endpoint->queues[LANE_UNPROVEN].count;
}

/* How many more jobs could be sent at once, beside those that are queued. */
unsigned endpoint_room(const struct endpoint *endpoint);

/* Registers the metrics of all endpoints. */
void endpoint_metrics(void);

#endif
