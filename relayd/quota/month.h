/* Calendar months in UTC, for which ledgers count. Pure. */
#ifndef OG_RELAYD_QUOTA_MONTH_H
#define OG_RELAYD_QUOTA_MONTH_H

#include <stdint.h>

#define MONTH_NONE 0

struct month {
	unsigned number;        /* 202611 is November 2026 */
	int64_t start_s, end_s; /* its first second, and that of the next one; since 1970 */
};

/* The month of SECOND, since 1970. */
struct month month_of(int64_t second);

/* The number of the month TEXT ("202611"), or MONTH_NONE. */
unsigned month_parse(const char *text);

#endif
