#include "common/base/log_rate.h"

#include "common/base/log.h"
#include "common/base/mem.h"

#define LINES_A_SECOND 10
#define SECOND_MS 1000

static struct list counting; /* kinds whose second runs */
static int64_t withheld_lines;

static void tell(struct log_rate *rate)
{
	if (rate->withheld > 0)
		log_info("lines-withheld what=%s count=%u", rate->what, rate->withheld);
}

static void on_second(struct timer *timer)
{
	struct log_rate *rate = container_of(timer, struct log_rate, second);
	bool quiet = rate->withheld == 0;

	tell(rate);
	rate->lines = 0;
	rate->withheld = 0;
	if (quiet)
		list_remove(&rate->link);
	else
		timer_start(&rate->second, SECOND_MS);
}

static void begin_second(struct log_rate *rate)
{
	if (counting.head.next == NULL)
		list_init(&counting);
	rate->second.expired = on_second;
	timer_start(&rate->second, SECOND_MS);
	list_append(&counting, &rate->link);
}

bool log_rate_allows(struct log_rate *rate)
{
	if (!timer_active(&rate->second))
		begin_second(rate);
	if (rate->lines < LINES_A_SECOND) {
		rate->lines++;
		return true;
	}
	rate->withheld++;
	withheld_lines++;
	return false;
}

int64_t log_rate_withheld(void)
{
	return withheld_lines;
}

void log_rate_end(struct log_rate *rate)
{
	timer_stop(&rate->second);
	list_remove(&rate->link);
	tell(rate);
	rate->lines = 0;
	rate->withheld = 0;
}

void log_rate_stop(void)
{
	struct list_link *link;

	if (counting.head.next == NULL)
		return;
	while ((link = list_first(&counting)) != NULL)
		log_rate_end(container_of(link, struct log_rate, link));
}
