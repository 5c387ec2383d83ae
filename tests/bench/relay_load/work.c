#include "tests/bench/relay_load/work.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/loop.h"
#include "common/base/mem.h"
#include "tests/bench/relay_load/activate.h"
#include "tests/bench/relay_load/flow.h"
#include "tests/bench/relay_load/options.h"
#include "tests/bench/relay_load/pair.h"
#include "tests/bench/relay_load/step.h"
#include "tests/bench/relay_load/wire.h"

#define GIB ((double)(1 << 30))

static struct pair *open_all(void)
{
	struct pair *pairs = mem_alloc(options.streams, sizeof(*pairs));

	pairs_open(pairs, options.streams);
	activate_end();
	step_reached("opened");
	return pairs;
}

static void say_passed(const struct flows *flows, double seconds)
{
	double gib = (double)flows_sent(flows) / GIB;

	step_reached("gib=%.4f seconds=%.4f gib_per_s=%.4f", gib, seconds, gib / seconds);
}

void work_transfer(void)
{
	struct pair *pairs = open_all();
	struct flows *flows = flows_new(pairs, options.streams);

	say_passed(flows, flows_pass(flows, options.seconds));
	flows_free(flows);
	free(pairs);
}

void work_stall(void)
{
	struct pair *pairs = open_all();
	struct flows *flows = flows_new(pairs, options.streams);

	flows_fill(flows);
	step_reached("stalled_gib=%.4f", (double)flows_sent(flows) / GIB);
	say_passed(flows, flows_pass(flows, 0));
	flows_free(flows);
	free(pairs);
}

static void pass_byte(const struct pair *pairs, bool back)
{
	char byte;

	for (unsigned i = 0; i < options.streams; i++)
		wire_say(back ? pairs[i].far : pairs[i].near, "B", 1);
	for (unsigned i = 0; i < options.streams; i++) {
		wire_hear(back ? pairs[i].near : pairs[i].far, &byte, 1);
		errno = 0;
		if (byte != 'B')
			step_fail("wrong content arrived");
	}
}

void work_idle(void)
{
	struct pair *pairs = open_all();

	pass_byte(pairs, false);
	pass_byte(pairs, true);
	step_reached("pairs=%u", options.streams);
	pairs_close(pairs, options.streams);
	free(pairs);
}

void work_churn(void)
{
	struct pair pairs[PAIRS_AT_ONCE];
	unsigned done = 0;
	uint64_t began_ns;
	double seconds;

	step_reached("opened"); /* nothing yet: where the readings begin */
	began_ns = loop_now_ns();
	while (done < options.streams) {
		unsigned left = options.streams - done;
		unsigned count = left < PAIRS_AT_ONCE ? left : PAIRS_AT_ONCE;

		pairs_open(pairs, count);
		pairs_close(pairs, count);
		done += count;
	}
	seconds = (double)(loop_now_ns() - began_ns) / 1e9;
	step_reached("streams=%u seconds=%.4f per_second=%.0f", done, seconds, done / seconds);
}
