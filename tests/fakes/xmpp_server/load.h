/*
 * Load: many publishes, round about the registrations of all components that aren't lost, either so
 * many in flight at a time or so many per second.
 */
#ifndef OG_TESTS_FAKES_XMPP_SERVER_LOAD_H
#define OG_TESTS_FAKES_XMPP_SERVER_LOAD_H

#include <jansson.h>

#include "tests/fakes/xmpp_server/server.h"

#define LOAD_COUNT_MAX 10000000

struct load_options {
	const struct form *form;
	uint64_t count;     /* of publishes; at most LOAD_COUNT_MAX */
	uint64_t in_flight; /* at most so many without a reply */
	uint64_t rate;      /* per second; 0: as fast as replies come */
};

/* Begins; -1 if a load is running or there is no registration. What was before is forgotten. */
int load_start(struct server *server, const struct load_options *options);

/* No more is sent; what is in flight may end. */
void load_stop(void);

/*
 * The load that runs or ran last: running, sent, what became of them by the names of their endings,
 * unlinked (publishes that found no connection), seconds, per_second, and in microseconds p50, p99
 * and max from a publish to its reply.
 */
json_t *load_report(void);

void load_release(void);

#endif
