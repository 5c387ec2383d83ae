/* Calendar months in UTC, by which quotas count. Pure. */
#ifndef OG_RELAYD_QUOTA_MONTH_H
#define OG_RELAYD_QUOTA_MONTH_H

#include <stdint.h>

#define MONTH_NONE 0

struct month {
	unsigned number;        /* 202611 is November 2026 */
	int64_t start_s, end_s; /* its first second, and that of the next one; since 1970 */
};

/* The month of a second since 1970. */
struct month month_of(int64_t second);

/* The number that TEXT ("202611") means, or MONTH_NONE. */
unsigned month_parse(const char *text);

#endif
