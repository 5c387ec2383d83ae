/*
 * The end for what can't go on: the program is wrong, or the system refuses what it never may.
 */
#ifndef OG_COMMON_BASE_PANIC_H
#define OG_COMMON_BASE_PANIC_H

/* Logs "panic reason=…" (%m is errno's text) and aborts; a daemon leaves no core. */
void panic(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
