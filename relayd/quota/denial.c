#include "relayd/quota/denial.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"

#define TEXT_MAX 64

/* Quota and whom are the words of Tigase's proxy. */
static const struct kind {
	const char *name;
	const char *quota;
	const char *whom;   /* NULL: the ledger has no account */
	const char *before; /* in a sentence: what precedes the account, or stands for it */
} kinds[] = {
	{ "user", "transfer quota", "user", "" },
	{ "domain", "transfer quota", "domain", "the domain " },
	{ "instance", "transfer quota", "instance", "the relay " },
	{ "global", "global transfer quota", NULL, "this service" },
	{ DENIAL_FILE, "quota for single file transfer", NULL, NULL },
};

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t len = strlen(kinds[i].name);

		if (strncmp(name, kinds[i].name, len) == 0 &&
		    name[len] == (kinds[i].whom != NULL ? ':' : '\0'))
			return &kinds[i];
	}
	return NULL;
}

const char *ledger_split(const char *name, const char **account)
{
	const struct kind *kind = find_kind(name);

	*account = name;
	if (kind == NULL)
		return "unknown";
	if (kind->whom != NULL)
		*account += strlen(kind->name) + 1;
	return kind->name;
}

char *denial_text(const struct denial *denial, const char *what)
{
	const struct kind *kind = find_kind(denial->ledger);
	const char *account;

	(void)ledger_split(denial->ledger, &account);
	if (denial->limit < 0)
		return kind != NULL && kind->whom != NULL
		               ? mem_printf("Transfers are forbidden for %s %s", kind->whom,
		                            account)
		               : mem_dup("Transfers are forbidden");
	if (kind != NULL && kind->whom != NULL)
		return mem_printf("%s due to exceeded %s for %s %s", what, kind->quota, kind->whom,
		                  account);
	return mem_printf("%s due to exceeded %s", what, kind == NULL ? "quota" : kind->quota);
}

/* Units are those of the configuration: 1 MB is 1,048,576 bytes. TEXT has TEXT_MAX bytes. */
static const char *format_bytes(int64_t bytes, char *text)
{
	static const char *const units[] = { "bytes", "kB", "MB", "GB", "TB" };
	int64_t size = 1;
	size_t unit = 0;

	while (unit + 1 < ARRAY_LEN(units) && bytes / size >= 1024) {
		size *= 1024;
		unit++;
	}
	if (bytes % size == 0)
		snprintf(text, TEXT_MAX, "%lld %s", (long long)(bytes / size), units[unit]);
	else
		snprintf(text, TEXT_MAX, "%.2f %s", (double)bytes / (double)size, units[unit]);
	return text;
}

/* "1 December 2026"; TEXT has TEXT_MAX bytes. */
static const char *format_day(int64_t second, char *text)
{
	static const char *const months[] = { "January",   "February", "March",    "April",
		                              "May",       "June",     "July",     "August",
		                              "September", "October",  "November", "December" };
	time_t time = (time_t)second;
	struct tm day;

	gmtime_r(&time, &day);
	snprintf(text, TEXT_MAX, "%d %s %d", day.tm_mday, months[day.tm_mon], day.tm_year + 1900);
	return text;
}

char *denial_explanation(const struct denial *denial, int64_t until_s)
{
	const struct kind *kind = find_kind(denial->ledger);
	bool is_file = kind == NULL || kind->before == NULL;
	const char *before = is_file ? "" : kind->before, *account;
	char bytes[TEXT_MAX], day[TEXT_MAX];

	(void)ledger_split(denial->ledger, &account);
	if (kind != NULL && kind->whom == NULL)
		account = "";
	if (denial->limit < 0 && is_file)
		return mem_dup("File transfers are not allowed here.");
	if (denial->limit < 0)
		return mem_printf("File transfers are not allowed for %s%s.", before, account);
	if (is_file)
		return mem_printf("A single file may have at most %s.",
		                  format_bytes(denial->limit, bytes));
	return mem_printf("The transfer quota of %s%s, %s a month, is used up. "
	                  "It starts anew on %s (UTC).",
	                  before, account, format_bytes(denial->limit, bytes),
	                  format_day(until_s, day));
}
