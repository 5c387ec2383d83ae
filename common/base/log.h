/*
 * The log: one event, one line on standard error, "what key=value …". Control characters in a line
 * are escaped, so that nothing from the network can forge another line. No secrets, tokens or
 * bodies.
 */
#ifndef OG_COMMON_BASE_LOG_H
#define OG_COMMON_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Names the process in each line (borrowed, static) and sets the least level that is written. */
void log_init(const char *name, enum log_level least);

/* Changes the least level. */
void log_set_level(enum log_level least);

/* The level named NAME ("debug", "info", "warn", "error"), or -1. */
int log_level_by_name(const char *name);

/* True if debug lines are written: guards work that is done only for them. */
bool log_debugging(void);

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
