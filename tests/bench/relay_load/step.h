/*
 * How a run tells what it has reached: lines on stdout, by which the driver takes its readings.
 */
#ifndef OG_TESTS_BENCH_RELAY_LOAD_STEP_H
#define OG_TESTS_BENCH_RELAY_LOAD_STEP_H

/* Says a line and, with --steps, waits for one; the end of the input ends the program. */
void step_reached(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The next line of stdin without its newline, in LINE (SIZE bytes). */
void step_read_line(char *line, int size);

/* Ends the program with status 1, WHAT failed and, if errno says something, why. */
void step_fail(const char *what) __attribute__((noreturn));

#endif
