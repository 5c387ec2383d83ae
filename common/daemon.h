/*
 * The main program that all daemons share: options (-c -n -T -d -V --health), signals, start and
 * stop in order, drain, the ready notice (sd_notify protocol when NOTIFY_SOCKET is set, and a log
 * line "ready").
 */
#ifndef OG_COMMON_DAEMON_H
#define OG_COMMON_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/http/http_server.h"

/* Keys that the section [daemon] of each daemon has, as its struct's first member. */
struct daemon_common {
	int log_level;
	int64_t drain_timeout_ms;
};

/* Their rows for the daemon's table (offsets count from the start of the [daemon] struct). */
/* clang-format off */
#define DAEMON_KEYS                                                                             \
	{ "log-level", CONFIG_CHOICE, offsetof(struct daemon_common, log_level), "info",        \
	  "Least level of log lines.", .choices = daemon_log_levels, .live = true },            \
	{ "drain-timeout", CONFIG_DURATION, offsetof(struct daemon_common, drain_timeout_ms),   \
	  "60s", "How long SIGTERM lets work that is under way go on.", 0, 86400000,            \
	  .live = true }
/* clang-format on */

extern const char *const daemon_log_levels[];

/*
 * A part of a daemon: started in the table's order, stopped in the reverse. Its file exports one,
 * called after the file.
 */
struct daemon_module {
	const char *name;
	int (*start)(void *config); /* 0, or -1 after logging why: the daemon exits 1; or NULL */
	void (*stop)(void);         /* NULL: nothing to stop */
	/*
	 * SIGTERM, SIGINT or daemon_drain(): draining begins; called in the order of stopping. One
	 * of the modules has to call daemon_exit() once it is over. NULL: nothing to do; where that
	 * is so for all of them, the process exits at once.
	 */
	void (*drain)(void);
};

struct daemon_spec {
	const struct config *config;
	size_t common_offset; /* of struct daemon_common in the config's root */
	size_t health_offset; /* likewise, of the address (char *) that --health asks */
	const struct daemon_module *const *modules; /* ended by NULL */
	/*
	 * Checks what the table can't express (files parse, keys fit each other). Runs after the
	 * configuration was read, with -n too, before any module starts. Returns 0, or -1 with
	 * COMPLAINTS appended, one per line. NULL: no such check.
	 */
	int (*check)(const void *config, struct buf *complaints);
	/*
	 * The same for faults with which the daemon must still start: runs only with -n, after
	 * check has returned 0. NULL: no such check.
	 */
	int (*check_more)(const void *config, struct buf *complaints);
	/*
	 * SIGHUP: live keys were changed in place, and the items of live sections exchanged; the
	 * old ones are freed after it returns. NULL: nothing more to do.
	 */
	void (*reloaded)(void *config);
	/* SIGUSR1: logs the state. NULL: nothing. */
	void (*dump)(void);
	/* What /readyz answers. */
	bool (*serving)(void);
	/* The libraries that -V names: functions like redis_version(), ended by NULL; or NULL. */
	const char *(*const *versions)(void);
};

/* The whole of main(): returns the exit status. */
int daemon_main(int argc, char **argv, const struct daemon_spec *spec);

/* CONFIGURED, the key `id`, or the host's name where that is NULL (static; "" if it has none). */
const char *daemon_id(const char *configured);

/* Begins to drain as SIGTERM does (also for an API call). A second call does nothing. */
void daemon_drain(void);

/* True after daemon_drain(). */
bool daemon_draining(void);

/* Ends the loop; the modules are stopped and the process exits 0. */
void daemon_exit(void);

/* The same with status 1, for a fault that shows only while running; the caller has logged it. */
void daemon_fail(void);

/* Route handlers for GET /metrics, /healthz and /readyz, the same in every daemon. */
void daemon_serve_metrics(struct http_request *request);
void daemon_serve_healthz(struct http_request *request);
void daemon_serve_readyz(struct http_request *request);
/* clang-format off */
#define DAEMON_ROUTES                                                                           \
	{ "GET", "/metrics", daemon_serve_metrics, .open = true },                              \
	{ "GET", "/healthz", daemon_serve_healthz, .open = true },                              \
	{ "GET", "/readyz", daemon_serve_readyz, .open = true }
/* clang-format on */

#endif
