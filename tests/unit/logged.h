/* What goes to standard error meanwhile, for tests of what is logged. */
#ifndef OG_TESTS_UNIT_LOGGED_H
#define OG_TESTS_UNIT_LOGGED_H

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct logged {
	FILE *file;
	int saved;
};

static inline struct logged logged_start(void)
{
	struct logged logged = { tmpfile(), dup(STDERR_FILENO) };

	ck_assert_ptr_nonnull(logged.file);
	dup2(fileno(logged.file), STDERR_FILENO);
	return logged;
}

/* The text, until the next call. */
static inline const char *logged_end(struct logged *logged)
{
	static char text[65536];

	dup2(logged->saved, STDERR_FILENO);
	close(logged->saved);
	rewind(logged->file);
	text[fread(text, 1, sizeof(text) - 1, logged->file)] = '\0';
	fclose(logged->file);
	return text;
}

/* How often PART is in TEXT. */
static inline unsigned logged_count(const char *text, const char *part)
{
	unsigned count = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		count++;
	return count;
}

#endif
