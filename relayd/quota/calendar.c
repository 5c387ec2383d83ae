#include "relayd/quota/calendar.h"

#include "common/base/loop.h"
#include "common/daemon.h"
#include "common/redis/redis.h"
#include "relayd/fleet/store.h"

#define ASK_EVERY_MS 60000
/* After a turn as we reckon it, so that it is past by Redis's clock too. */
#define SLACK_MS 2

static struct {
	struct month month;
	void (*turned)(void);
	struct timer ask, turn;
	struct redis_call call;
} calendar;

const struct month *calendar_month(void)
{
	return &calendar.month;
}

void calendar_on_turn(void (*turned)(void))
{
	calendar.turned = turned;
}

void calendar_set(int64_t now_ms)
{
	unsigned before = calendar.month.number;

	calendar.month = month_of(now_ms / 1000);
	timer_start(&calendar.turn, (uint64_t)(calendar.month.end_s * 1000 - now_ms + SLACK_MS));
	if (before != calendar.month.number && before != MONTH_NONE && calendar.turned != NULL)
		calendar.turned();
}

/* Until Redis is asked again, its clock is taken to have gone on as fast as ours. */
static void on_turn(struct timer *timer)
{
	calendar_set(calendar.month.end_s * 1000 + SLACK_MS);
}

static void on_time(struct redis_call *call, const struct redisReply *reply)
{
	int64_t seconds = redis_reply_integer(redis_reply_at(reply, 0), -1);
	int64_t microseconds = redis_reply_integer(redis_reply_at(reply, 1), -1);

	timer_start(&calendar.ask, ASK_EVERY_MS);
	if (seconds >= 0 && microseconds >= 0)
		calendar_set(seconds * 1000 + microseconds / 1000);
	else /* the call has waited for Redis already */
		timer_start(&calendar.ask, STORE_TIMEOUT_MS);
}

static void on_ask(struct timer *timer)
{
	redis_command(store_redis(), &calendar.call, "TIME");
}

static int start(void *config)
{
	calendar.ask.expired = on_ask;
	calendar.turn.expired = on_turn;
	calendar.call.done = on_time;
	calendar_set(loop_wall_ms());
	if (store_redis() != NULL)
		on_ask(&calendar.ask);
	return 0;
}

static void stop(void)
{
	timer_stop(&calendar.ask);
	timer_stop(&calendar.turn);
	redis_cancel(&calendar.call);
	calendar.turned = NULL;
	calendar.month.number = MONTH_NONE;
}

const struct daemon_module calendar_module = { "calendar", start, stop };
