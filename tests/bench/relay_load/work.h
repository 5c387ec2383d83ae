/*
 * The kinds of work, each a run of its own over options.streams pairs. A failure ends the program
 * with status 1 and its reason on stderr.
 */
#ifndef OG_TESTS_BENCH_RELAY_LOAD_WORK_H
#define OG_TESTS_BENCH_RELAY_LOAD_WORK_H

void work_transfer(void);
void work_idle(void);
void work_stall(void);
void work_churn(void);

#endif
