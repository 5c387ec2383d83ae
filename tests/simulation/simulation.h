/*
 * Seeded simulation: a heart of a daemon is driven through random events in one process whose time,
 * random numbers and Redis are the simulation's, and after each step what the design promises is
 * compared with a model. A run depends on its seed alone, so one that fails is printed and replays.
 *
 *   program (sim_leases.c): events, a model, what must hold
 *     process.h             several processes of a daemon in one; turning their loops
 *       store.h             a real Redis, whose clock is the simulation's, and the way to it
 *         simulation.h      the seed, time, notes, failing
 *
 * A program sim_NAME.c has main() call simulation_main(), and is linked with the archives of the
 * daemons whose headers it includes:
 *
 *   static void run(void)                     one seed, from the state after store_reset()
 *   {
 *           simulation_set_wall(…);
 *           process_start(…), process_run(…)
 *           while (simulation_step(500)) {
 *                   one random event, with dice(), chance() and simulation_note()
 *                   process_run(processes, count, ms)
 *                   SIMULATION_HOLDS(condition, "what doesn't hold …", …)
 *           }
 *           store_calm(), an end of everything, and what must hold then; process_stop(…)
 *   }
 *
 * Time moves in process_run() alone, and jumps to what is due next: an hour without events costs
 * nothing. The clocks of <time.h>, time(), getrandom(), epoll_wait() and poll() are the
 * simulation's in the whole program, also for libraries.
 *
 * Environment: SEEDS=n runs the seeds 1 to n (default 200); SEED=n that seed alone, with LOG=debug
 * and the processes' own log lines.
 */
#ifndef OG_TESTS_SIMULATION_SIMULATION_H
#define OG_TESTS_SIMULATION_SIMULATION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/log.h"

#define SIMULATION_MS UINT64_C(1000000) /* in nanoseconds */
#define SIMULATION_NEVER UINT64_MAX

struct simulation {
	const char *name;
	void (*start)(void); /* once; or NULL */
	void (*reset)(void); /* before each seed; or NULL */
	void (*run)(void);   /* one seed */
	void (*stop)(void);  /* once, also after a failure; or NULL */
};

/* The whole of main(): runs the seeds, prints libcheck's summary, returns the exit status. */
int simulation_main(const struct simulation *simulation);

/* The seed's next random number below SIDES (at least 1); true in PERMILLE of 1000 cases. */
uint64_t dice(uint64_t sides);
bool chance(unsigned permille);

/* A number from LEAST to MOST whose order of magnitude is as random as its digits; LEAST > 0. */
uint64_t dice_wide(uint64_t least, uint64_t most);

/* Begins the next step; false after MOST of them. */
bool simulation_step(unsigned most);

/* Remembers a line, with the time, for the report of a failure. */
void simulation_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reports what doesn't hold, the seed, the step and the last notes, and ends the program. */
void simulation_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#define SIMULATION_HOLDS(condition, ...)                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			simulation_fail(__VA_ARGS__);                                              \
	} while (0)

/* The level of the log that processes shall write: LOG, else above all of them. */
enum log_level simulation_log_level(void);

/* Nanoseconds that have passed since the seed began. */
uint64_t simulation_now_ns(void);

/* Milliseconds since 1970 by the true clock, which Redis has. */
int64_t simulation_wall_ms(void);

/* Sets the true clock. Nobody's timers notice. */
void simulation_set_wall(int64_t wall_ms);

/* Time goes on to AT_NS, if that is later than now. */
void simulation_pass_to(uint64_t at_ns);

/* By how much the wall clock of what runs from now on is ahead of the true clock. */
void simulation_set_skew(int64_t skew_ms);

/* Where the true clock is written for others: a mapping of nanoseconds since 1970. */
void simulation_share_clock(volatile int64_t *wall_ns);

#endif
