#include "tests/bench/relay_load/step.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/relay_load/options.h"

void step_read_line(char *line, int size)
{
	if (fgets(line, size, stdin) == NULL)
		exit(1);
	line[strcspn(line, "\n")] = '\0';
}

void step_reached(const char *format, ...)
{
	char line[80];
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	if (options.steps)
		step_read_line(line, sizeof(line));
}

void step_fail(const char *what)
{
	if (errno != 0)
		fprintf(stderr, "relay_load: %s: %s\n", what, strerror(errno));
	else
		fprintf(stderr, "relay_load: %s\n", what);
	exit(1);
}
