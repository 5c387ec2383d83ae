/*
 * What the tests of the loop share: the loop with a clock that can be stopped, and an owner of each
 * kind of callback that notes when it was called.
 */
#ifndef OG_TESTS_UNIT_LOOP_OWNER_H
#define OG_TESTS_UNIT_LOOP_OWNER_H

#include <time.h>

static int test_clock(clockid_t clock, struct timespec *now);

#define clock_gettime test_clock
#include "common/base/loop.c"
#undef clock_gettime

#include <sys/eventfd.h>

#include "tests/unit/unit.h"

/* While it isn't 0 the loop's clock stands at this many nanoseconds. */
static uint64_t frozen_ns;

static int test_clock(clockid_t clock, struct timespec *now)
{
	if (frozen_ns == 0)
		return clock_gettime(clock, now);
	now->tv_sec = (time_t)(frozen_ns / 1000000000);
	now->tv_nsec = (long)(frozen_ns % 1000000000);
	return 0;
}

static void freeze(void)
{
	frozen_ns = UINT64_C(1000000000000);
}

static void advance_ms(uint64_t ms)
{
	frozen_ns += ms * NS_PER_MS;
}

/* What happened, in order: each callback adds its owner's letter. */
static char trace[64];

static void note(char letter)
{
	size_t len = strlen(trace);

	ck_assert_uint_lt(len, sizeof(trace) - 1);
	trace[len] = letter;
}

static void setup(void)
{
	loop_init();
}

static void teardown(void)
{
	loop_release();
}

/* An owner of each kind of callback, which then does what the test says. */
struct owner {
	char letter;
	struct io io;
	struct timer timer;
	struct task task;
	uint32_t seen;         /* the last events */
	struct owner *partner; /* whom the action is about */
	void (*act)(struct owner *owner);
};

static void run_action(struct owner *owner)
{
	note(owner->letter);
	if (owner->act != NULL)
		owner->act(owner);
}

static void on_ready(struct io *io, uint32_t events)
{
	struct owner *owner = container_of(io, struct owner, io);

	owner->seen = events;
	run_action(owner);
}

static void on_expired(struct timer *timer)
{
	run_action(container_of(timer, struct owner, timer));
}

static void on_task(struct task *task)
{
	run_action(container_of(task, struct owner, task));
}

static struct owner make(char letter, void (*act)(struct owner *owner))
{
	return (struct owner){ .letter = letter,
		               .io.ready = on_ready,
		               .timer.expired = on_expired,
		               .task.run = on_task,
		               .act = act };
}

/* A descriptor that is readable at once, and writable. */
static int make_readable(void)
{
	int fd = eventfd(1, EFD_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void watch(struct owner *owner, uint32_t events)
{
	ck_assert_int_eq(io_start(&owner->io, make_readable(), events), 0);
}

static void stop_partner(struct owner *owner)
{
	io_stop(&owner->partner->io);
	timer_stop(&owner->partner->timer);
	task_stop(&owner->partner->task);
}

#endif
