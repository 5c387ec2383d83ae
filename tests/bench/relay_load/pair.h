/*
 * A pair of connections, between which the relay that is measured passes bytes: how it is opened
 * by each route.
 */
#ifndef OG_TESTS_BENCH_RELAY_LOAD_PAIR_H
#define OG_TESTS_BENCH_RELAY_LOAD_PAIR_H

#define HASH_LEN 40
#define HASH_ROOM (HASH_LEN + 2) /* with a newline and a NUL */

struct pair {
	int near; /* sends, in a transfer */
	int far;
};

/* Most pairs that are opened at the same time, step by step: bytestreams of relayd. */
#define PAIRS_AT_ONCE 64

/*
 * Opens COUNT pairs, which are active afterwards unless they are bytestreams without --control.
 * The caller owns both descriptors of each.
 */
void pairs_open(struct pair *pairs, unsigned count);

/* Closes both ends of COUNT pairs. */
void pairs_close(const struct pair *pairs, unsigned count);

#endif
