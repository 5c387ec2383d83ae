/*
 * The log: one event, one line on standard error, "what key=value …". Control characters in a line
 * and those that change how text is shown are escaped, so that nothing from the network can forge
 * another line. No secrets, tokens or bodies.
 *
 * Between log_start() and log_stop() no line waits for the log's reader: up to 256 KiB that the
 * reader doesn't take yet are kept, and lines beyond that are dropped and counted. In their place
 * stands a line "log-lines-dropped count=N".
 */
#ifndef OG_COMMON_BASE_LOG_H
#define OG_COMMON_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Names the process in each line (borrowed, static) and sets the least level that is written. */
void log_init(const char *name, enum log_level least);

/* Changes the least level. */
void log_set_level(enum log_level least);

/* The level named NAME ("debug", "info", "warn", "error"), or -1. */
int log_level_by_name(const char *name);

/* True if debug lines are written: guards work that is done only for them. */
bool log_debugging(void);

/*
 * From now on no line waits. STALLED is called when one couldn't be written to FD: the caller
 * watches FD and calls log_flush() when it is writable. FD stays the log's.
 */
void log_start(void (*stalled)(int fd));

/* Writes the kept lines as far as the reader takes them; true: none is left. */
bool log_flush(void);

/* Writes the kept lines, for which it waits up to a second. From now on a line may wait again. */
void log_stop(void);

/* How many lines were dropped since the process started. */
int64_t log_dropped(void);

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
