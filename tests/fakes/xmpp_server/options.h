/*
 * The pretend XMPP server's command line.
 */
#ifndef OG_TESTS_FAKES_XMPP_SERVER_OPTIONS_H
#define OG_TESTS_FAKES_XMPP_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/fakes/xmpp_server/kind.h"

#define COMPONENTS_MAX 16

struct options {
	const struct kind *kind;
	const char *listen, *control, *domain;
	struct {
		const char *name, *secret; /* borrowed from argv */
	} components[COMPONENTS_MAX];
	size_t component_count;
	bool kicks_old;
	int log_level;
	bool help;
};

/* Reads ARGV, which it may change; 0, or -1 after saying on stderr what is wrong. */
int options_read(struct options *options, int argc, char **argv);

void options_help(void);

#endif
