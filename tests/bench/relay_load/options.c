#include "tests/bench/relay_load/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/bench/relay_load/work.h"

struct options options = { .work = work_transfer, .token = "", .streams = 1, .seconds = 2 };

static const char help[] =
        "relay_load [--route direct|tcp|socks|bytestream] [--work transfer|idle|stall|churn]\n"
        "           [--streams N] [--seconds S] [--relay ADDRESS] [--sink ADDRESS]\n"
        "           [--control ADDRESS --token TOKEN | --hashes] [--congestion NAME]\n"
        "           [--whole] [--steps]\n"
        "Opens N pairs of connections through a relay and checks the content of what they move:\n"
        "  transfer  sends for S seconds, says what arrived and in which time\n"
        "  idle      passes one byte each way through every pair and holds the pairs\n"
        "  stall     sends until nothing moves, since nobody reads; then reads it all\n"
        "  churn     opens and closes N pairs, as fast as may be\n"
        "The far end listens at --sink; a bytestream has none. Bytestreams are activated at\n"
        "relayd's --control, or else by whoever runs this. --hashes reads their hashes from\n"
        "stdin, one a line. With --steps each line of output waits for a line of input.\n";

static const struct {
	const char *name;
	enum route route;
} routes[] = {
	{ "direct", ROUTE_DIRECT },
	{ "tcp", ROUTE_TCP },
	{ "socks", ROUTE_SOCKS },
	{ "bytestream", ROUTE_BYTESTREAM },
};

static const struct {
	const char *name;
	void (*work)(void);
} works[] = {
	{ "transfer", work_transfer },
	{ "idle", work_idle },
	{ "stall", work_stall },
	{ "churn", work_churn },
};

static bool set_route(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (strcmp(routes[i].name, name) == 0) {
			options.route = routes[i].route;
			return true;
		}
	}
	return false;
}

static bool set_work(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(works); i++) {
		if (strcmp(works[i].name, name) == 0) {
			options.work = works[i].work;
			return true;
		}
	}
	return false;
}

static bool set_count(const char *text)
{
	options.streams = (unsigned)strtoul(text, NULL, 10);
	return options.streams > 0;
}

static bool set_option(int option)
{
	switch (option) {
	case 'r':
		return set_route(optarg);
	case 'w':
		return set_work(optarg);
	case 'n':
		return set_count(optarg);
	case 's':
		options.seconds = strtod(optarg, NULL);
		return options.seconds > 0;
	case 'a':
		return net_parse(optarg, &options.relay) == 0;
	case 'i':
		return net_parse(optarg, &options.sink) == 0;
	case 'c':
		return net_parse(optarg, &options.control) == 0;
	case 't':
		options.token = optarg;
		return true;
	case 'g':
		options.congestion = optarg;
		return true;
	}
	return option == 0;
}

void options_read(int argc, char **argv)
{
	static int hashes, whole, steps;
	static const struct option known[] = {
		{ "route", required_argument, NULL, 'r' },
		{ "work", required_argument, NULL, 'w' },
		{ "streams", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 's' },
		{ "relay", required_argument, NULL, 'a' },
		{ "sink", required_argument, NULL, 'i' },
		{ "control", required_argument, NULL, 'c' },
		{ "token", required_argument, NULL, 't' },
		{ "congestion", required_argument, NULL, 'g' },
		{ "hashes", no_argument, &hashes, 1 },
		{ "whole", no_argument, &whole, 1 },
		{ "steps", no_argument, &steps, 1 },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (!set_option(option)) {
			fputs(help, stderr);
			exit(2);
		}
	}
	options.hashes = hashes;
	options.whole = whole;
	options.steps = steps;
}
