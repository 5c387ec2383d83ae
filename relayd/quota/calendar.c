#include "relayd/quota/calendar.h"

#include "common/base/loop.h"
#include "common/daemon.h"
#include "common/redis/redis.h"
#include "relayd/fleet/fleet.h"

#define ASK_EVERY_MS 60000
#define SECONDS_MOST INT64_C(253402300799) /* the end of the year 9999 */
#define SLACK_MS 2                         /* so that the month is over by Redis's clock too */

static struct {
	struct month month;
	void (*rolled_over)(void);
	struct timer ask, rollover;
	struct redis_call call;
} calendar;

const struct month *calendar_month(void)
{
	return &calendar.month;
}

void calendar_on_rollover(void (*rolled_over)(void))
{
	calendar.rolled_over = rolled_over;
}

void calendar_set(int64_t now_ms)
{
	unsigned before = calendar.month.number;

	calendar.month = month_of(now_ms / 1000);
	timer_start(&calendar.rollover,
	            (uint64_t)(calendar.month.end_s * 1000 - now_ms + SLACK_MS));
	if (before != calendar.month.number && before != MONTH_NONE && calendar.rolled_over != NULL)
		calendar.rolled_over();
}

/* Until Redis is asked again, its clock is taken to run as fast as this machine's. */
static void on_rollover(struct timer *timer)
{
	calendar_set(calendar.month.end_s * 1000 + SLACK_MS);
}

static void on_time(struct redis_call *call, const struct redisReply *reply)
{
	int64_t seconds = redis_reply_integer(redis_reply_at(reply, 0), -1);
	int64_t microseconds = redis_reply_integer(redis_reply_at(reply, 1), -1);

	timer_start(&calendar.ask, ASK_EVERY_MS);
	if (seconds >= 0 && seconds <= SECONDS_MOST && microseconds >= 0 && microseconds < 1000000)
		calendar_set(seconds * 1000 + microseconds / 1000);
	else /* the call has waited for its timeout already */
		timer_start(&calendar.ask, FLEET_TIMEOUT_MS);
}

static void on_ask(struct timer *timer)
{
	redis_command(fleet_redis(), &calendar.call, "TIME");
}

static int start(void *config)
{
	calendar.ask.expired = on_ask;
	calendar.rollover.expired = on_rollover;
	calendar.call.done = on_time;
	calendar_set(loop_wall_ms());
	if (fleet_redis() != NULL)
		on_ask(&calendar.ask);
	return 0;
}

static void stop(void)
{
	timer_stop(&calendar.ask);
	timer_stop(&calendar.rollover);
	redis_cancel(&calendar.call);
	calendar.rolled_over = NULL;
	calendar.month.number = MONTH_NONE;
}

const struct daemon_module calendar_module = { "calendar", start, stop };
