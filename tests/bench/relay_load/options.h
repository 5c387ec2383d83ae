/*
 * What a run of relay_load is to do, from its command line.
 */
#ifndef OG_TESTS_BENCH_RELAY_LOAD_OPTIONS_H
#define OG_TESTS_BENCH_RELAY_LOAD_OPTIONS_H

#include <stdbool.h>

#include "common/net/net.h"

/* How the two ends of a pair come to be connected. */
enum route {
	ROUTE_DIRECT,     /* plain TCP from one to the other */
	ROUTE_TCP,        /* through a relay that connects each client to the sink by itself */
	ROUTE_SOCKS,      /* SOCKS5 CONNECT (RFC 1928) to the sink's address */
	ROUTE_BYTESTREAM, /* XEP-0065: two halves that name the same hash, then activated */
};

struct options {
	enum route route;
	void (*work)(void);
	union net_address relay, sink;
	union net_address control; /* of relayd; family 0: whoever runs us activates the streams */
	const char *token;         /* of the control API */
	const char *congestion;    /* congestion control of our sockets; NULL: the machine's */
	unsigned streams;
	double seconds; /* how long a transfer sends */
	bool hashes;    /* the streams' hashes come on stdin, one a line */
	bool whole;     /* every byte is compared, not only the ends of each portion */
	bool steps;     /* after each line of output a line of input is awaited */
};

extern struct options options;

/* Fills OPTIONS; explains itself and exits with status 2 when it can't. */
void options_read(int argc, char **argv);

#endif
