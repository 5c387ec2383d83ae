/*
 * Load for a relay: opens pairs of connections through relayd, through another proxy or directly,
 * and does the work with them that its options say. See tests/bench/relay.py for how it is run.
 */
#include <sys/resource.h>

#include "tests/bench/relay_load/options.h"

static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	options_read(argc, argv);
	allow_descriptors();
	options.work();
	return 0;
}
