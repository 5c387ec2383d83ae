/*
 * Activation at relayd's control API, as a gateway would ask for it.
 */
#ifndef OG_TESTS_BENCH_RELAY_LOAD_ACTIVATE_H
#define OG_TESTS_BENCH_RELAY_LOAD_ACTIVATE_H

#include "tests/bench/relay_load/pair.h"

/* Activates COUNT (at most PAIRS_AT_ONCE) streams at once; ends the program if one isn't. */
void activate_streams(char (*hashes)[HASH_ROOM], unsigned count);

/* Closes the connections that are kept for that: they cost the relay memory. */
void activate_end(void);

#endif
