/*
 * The bounds of the static variables of what is linked between statics_start.c and statics_end.c:
 * those that have an initial value, and those that don't. The linker keeps the order of files.
 */
#ifndef OG_TESTS_SIMULATION_STATICS_H
#define OG_TESTS_SIMULATION_STATICS_H

extern char statics_data_start[], statics_data_end[];
extern char statics_bss_start[], statics_bss_end[];

#endif
