/*
 * The event loop of a process: descriptors by epoll, timers in a heap, tasks for the end of the
 * turn, signals by signalfd. There is one loop in a process, so it has no handle.
 *
 * struct io, struct timer and struct task are embedded in their owner; all zeros means idle, and a
 * callback finds its owner with container_of(). The promise: once io_stop(), timer_stop() or
 * task_stop() has returned, that callback does not run any more, even if its event was already
 * fetched, so an owner may be freed inside any callback. Callbacks do a bounded amount of work.
 */
#ifndef OG_COMMON_BASE_LOOP_H
#define OG_COMMON_BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "common/base/list.h"

struct io {
	void (*ready)(struct io *io,
	              uint32_t events); /* events: EPOLL* bits as epoll reports them */
	int fd;
	uint32_t events; /* what is registered; 0 means idle */
};

struct timer {
	void (*expired)(struct timer *timer);
	uint64_t due_ns;
	uint64_t order; /* timers that are due together expire in the order they were started */
	uint32_t slot;  /* place in the heap counted from 1; 0 means idle */
};

struct task {
	void (*run)(struct task *task);
	struct list_link link;
};

/* Sets up the loop and ignores SIGPIPE; aborts if the kernel refuses an epoll descriptor. */
void loop_init(void);

/* Runs until loop_end(). */
void loop_run(void);

/* Runs one turn: waits at most TIMEOUT_MS (-1: until something happens) and serves what is due. */
void loop_turn(int timeout_ms);

/* Makes loop_run() return at the end of this turn, or at once if it was not yet called. */
void loop_end(void);

/* Frees the loop's own memory. No callback runs for what is still started. */
void loop_release(void);

/* Monotonic time in nanoseconds and milliseconds, read now. */
uint64_t loop_now_ns(void);
uint64_t loop_now_ms(void);

/*
 * For log lines about frequent events: true at most once in EVERY_MS. *LAST_MS is the owner's, 0
 * before the first call.
 */
bool loop_once_in(uint64_t every_ms, uint64_t *last_ms);

/* Milliseconds since 1970 (UTC), read now: for records and messages, not for timers. */
int64_t loop_wall_ms(void);

/* The longest time, in nanoseconds, that one turn has spent in callbacks since the last call. */
uint64_t loop_take_lag_ns(void);

/*
 * Watches FD (owned by the caller) for EVENTS (EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLET…), or changes
 * what is watched if IO is already started, with the same FD; EVENTS 0 is io_stop(). io->ready must
 * be set, and gets no event that is not watched any more. Returns 0, or -1 with errno.
 */
int io_start(struct io *io, int fd, uint32_t events);

/*
 * The same for what can't be given up, such as an established connection. If the kernel has no
 * room for another watch (ENOSPC, ENOMEM), that is logged (once a second) and tried again every
 * 100 ms: IO gets its events once there is room. Aborts on any other error.
 */
void io_insist(struct io *io, int fd, uint32_t events);

/* Stops watching; does nothing when idle. Call it before close(). */
void io_stop(struct io *io);

/*
 * Arms (or arms anew) TIMER to expire once, DELAY_MS from now by the clock, not by the turn's
 * start.
 */
void timer_start(struct timer *timer, uint64_t delay_ms);

/* Disarms; does nothing when idle. */
void timer_stop(struct timer *timer);

static inline bool timer_active(const struct timer *timer)
{
	return timer->slot != 0;
}

/*
 * Runs TASK once at the end of this turn, after all events and timers that were fetched with the
 * one being served; a task started by a task runs in the next turn, which then does not wait.
 * Starting a task that is already started changes nothing.
 */
void task_start(struct task *task);

/* Takes TASK back; does nothing when idle. */
void task_stop(struct task *task);

/*
 * Delivers SIGNALS (ended by 0) to HANDLE inside the loop, by signalfd; they stay blocked for the
 * process. Call once, after loop_init().
 */
void loop_signals(const int *signals, void (*handle)(int signal));

#endif
