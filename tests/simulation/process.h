/*
 * Several processes of a daemon in one. What makes a process is its static variables, so each has a
 * copy of those of the daemon's archives, which is put in place before any of its code runs;
 * a new process starts with those that the program had at its start. Variables of the simulation
 * are everybody's.
 *
 * Before a function of the daemon is called from outside, process_enter() puts its process in
 * place. Callbacks run in the process that calls them.
 */
#ifndef OG_TESTS_SIMULATION_PROCESS_H
#define OG_TESTS_SIMULATION_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/daemon.h"

struct process {
	/* The owner's. */
	const char *name;                           /* borrowed, for the log */
	const struct daemon_module *const *modules; /* in the order of starting, ended by NULL */
	void *config;                               /* borrowed, of these modules */
	int64_t skew_ms; /* by which its wall clock is ahead of the true one */
	/* The module's own. */
	char *statics; /* owned; while it isn't in place they are here */
	int epoll;     /* of its loop; -1 until the first turn */
	bool running, severed;
	uint64_t due_ns; /* when it has something to do by itself */
};

/* Starts PROCESS, which isn't running. Modules that don't start are a failure. */
void process_start(struct process *process);

/* From here on its code may be called. */
void process_enter(struct process *process);

/* The one whose code runs, or may be called; NULL: none. */
struct process *process_current(void);

/*
 * Ends it as a stop does: modules stop in reverse order, and Redis gets what they send. The caller
 * has freed what it holds of it.
 */
void process_stop(struct process *process);

/*
 * The process is killed: nothing reaches it any more, and nothing that it sends from now on
 * reaches anybody. The caller frees what it holds of it, and calls process_stop(), both only for
 * the memory.
 */
void process_sever(struct process *process);

/* The COUNT processes (those that run), Redis and the network go on for MS milliseconds. */
void process_run(struct process *const *processes, size_t count, uint64_t ms);

#endif
