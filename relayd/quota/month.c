#include "relayd/quota/month.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/panic.h"

struct month month_of(int64_t second)
{
	time_t start = (time_t)second;
	struct month month;
	struct tm date;

	if (gmtime_r(&start, &date) == NULL)
		panic("gmtime_r: %m");
	month.number = (unsigned)(date.tm_year + 1900) * 100 + (unsigned)date.tm_mon + 1;
	date = (struct tm){ .tm_year = date.tm_year, .tm_mon = date.tm_mon, .tm_mday = 1 };
	month.start_s = timegm(&date);
	date = (struct tm){ .tm_year = date.tm_year, .tm_mon = date.tm_mon + 1, .tm_mday = 1 };
	month.end_s = timegm(&date);
	return month;
}

unsigned month_parse(const char *text)
{
	unsigned long number;

	if (strlen(text) != 6 || strspn(text, "0123456789") != 6)
		return MONTH_NONE;
	number = strtoul(text, NULL, 10);
	return number % 100 >= 1 && number % 100 <= 12 ? (unsigned)number : MONTH_NONE;
}
