/* Turning the loop until something has happened, with an end. */
#ifndef OG_TESTS_UNIT_WAIT_H
#define OG_TESTS_UNIT_WAIT_H

#include <check.h>

#include "common/base/loop.h"
#include "tests/unit/unit.h"

#define WAIT_UNTIL(condition)                                                                      \
	do {                                                                                       \
		uint64_t wait_end_ms = loop_now_ms() + unit_wait_s() * 1000ull;                    \
		while (!(condition)) {                                                             \
			ck_assert_msg(loop_now_ms() < wait_end_ms, "waited in vain for %s",        \
			              #condition);                                                 \
			loop_turn(20);                                                             \
		}                                                                                  \
	} while (0)

/* Turns the loop for MS milliseconds: to see that something does not happen. */
static inline void turn_for(uint64_t ms)
{
	uint64_t end_ms = loop_now_ms() + ms;

	while (loop_now_ms() < end_ms)
		loop_turn(5);
}

#endif
