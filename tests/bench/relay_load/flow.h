/*
 * Bytes on their way from the near ends to the far ends of pairs: a content that any portion can be
 * checked against, a sending loop and a receiving process.
 */
#ifndef OG_TESTS_BENCH_RELAY_LOAD_FLOW_H
#define OG_TESTS_BENCH_RELAY_LOAD_FLOW_H

#include <stdint.h>

#include "tests/bench/relay_load/pair.h"

struct flows;

/* Takes over COUNT open pairs; their descriptors are closed by flows_free(). */
struct flows *flows_new(const struct pair *pairs, unsigned count);
void flows_free(struct flows *flows);

/*
 * Starts the receiving process (there are two processes, as two clients would be), sends for
 * SECONDS, ends all flows and waits until all has arrived. The program fails if a byte is missing,
 * wrong or too much. Returns the seconds from the first byte sent to the last one received.
 */
double flows_pass(struct flows *flows, double seconds);

/* Sends, with nobody reading, until nothing has moved for a second. */
void flows_fill(struct flows *flows);

/* Bytes sent up to now, over all. */
uint64_t flows_sent(const struct flows *flows);

#endif
