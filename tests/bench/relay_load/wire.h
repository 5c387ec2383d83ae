/*
 * Blocking conversations on sockets, for the opening of pairs. What fails ends the program.
 */
#ifndef OG_TESTS_BENCH_RELAY_LOAD_WIRE_H
#define OG_TESTS_BENCH_RELAY_LOAD_WIRE_H

#include <stddef.h>

#include "common/net/net.h"

/* A connection to ADDRESS: blocking, without Nagle's delay, giving up after 20 s of silence. */
int wire_dial(const union net_address *address);

/* A listener at ADDRESS with room for all that may come at once. */
int wire_listen(const union net_address *address);

/* The next connection of LISTENER, which must come within 20 s; set up as wire_dial() does. */
int wire_accept(int listener);

/* Sends all LEN bytes. */
void wire_say(int fd, const void *bytes, size_t len);

/* Receives exactly LEN bytes. */
void wire_hear(int fd, void *bytes, size_t len);

#endif
