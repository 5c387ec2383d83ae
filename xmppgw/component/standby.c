#include "xmppgw/component/standby.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/redis/redis.h"
#include "xmppgw/component/standby_give_back.lua.h"
#include "xmppgw/component/standby_take.lua.h"
#include "xmppgw/db.h"

#define LIFE_MS "3000"
#define MEMORY_MS "86400000" /* how long the name of the last holder is kept: a day */
#define RENEW_MS 1000
#define POLL_MS 250    /* between two attempts to take the lease */
#define GRACE_MS 5000  /* for the holder to renew, after Redis was away: it connects anew in 3 s */
#define REFUSALS_MAX 2 /* a second renewal is refused: the new holder has kept the lease */

/*
 *   resting ──▶ taking ──▶ holding ◀─▶ giving-back ──▶ resting; over when the stream is off
 *                 ▲ │         ├──▶ yielding ──▶ taking
 *                 │ ▼         │
 *               looking ◀─────┘ (conflict)
 *
 * Looking comes after Redis was away, and after a conflict until another gateway was the holder.
 * What can't be given back, because Redis is away, is held.
 */
static struct redis_script take_script = { standby_take_lua, "" };
static struct redis_script give_back_script = { standby_give_back_lua, "" };

static void go(struct standby *standby, enum standby_step step, uint32_t wait_ms);

/* ---- the commands ---- */

static char *key_of(const struct standby *standby)
{
	return mem_printf("%sstandby:%s", redis_prefix(db_redis(DB_OWN)), standby->stream->domain);
}

static void send_take(struct standby *standby)
{
	char *key = key_of(standby);
	const char *argv[] = { key, standby->holder, LIFE_MS, MEMORY_MS };

	redis_eval(db_redis(DB_OWN), &standby->call, &take_script,
	           &(struct redis_args){ 1, ARRAY_LEN(argv), argv });
	free(key);
}

static void send_look(struct standby *standby)
{
	char *key = key_of(standby);

	redis_command(db_redis(DB_OWN), &standby->call, "HGET %s holder", key);
	free(key);
}

static void send_give_back(struct standby *standby)
{
	char *key = key_of(standby);
	const char *argv[] = { key, standby->holder };

	redis_eval(db_redis(DB_OWN), &standby->call, &give_back_script,
	           &(struct redis_args){ 1, ARRAY_LEN(argv), argv });
	free(key);
}

/* The stream that ended while Redis was away is connected again before Redis answers. */
static void send_renewal(struct standby *standby)
{
	if (standby->stream->state == STREAM_STANDBY && loop_now_ms() >= standby->due_ms)
		stream_connect(standby->stream);
	send_take(standby);
}

/* ---- the replies: HOLDER is who has the lease, or had it last; NULL: nobody known ---- */

static bool is_own(const struct standby *standby, const char *holder)
{
	return holder != NULL && strcmp(holder, standby->holder) == 0;
}

static void take_lease(struct standby *standby, const char *holder)
{
	standby->covered = !is_own(standby, holder);
	if (standby->covered) {
		go(standby, STANDBY_TAKE, POLL_MS);
		return;
	}
	log_debug("lease-taken component=%s", standby->stream->domain);
	standby->refusals = 0;
	go(standby, STANDBY_HOLD, RENEW_MS);
	stream_connect(standby->stream);
}

static void log_displaced(struct standby *standby)
{
	if (!standby->logged)
		log_error("lease-useless component=%s reason=\"another connection took the "
		          "stream, and no other gateway has the lease: do all gateways use the "
		          "same redis and redis-prefix?\"",
		          standby->stream->domain);
	standby->logged = true;
}

static void take_look(struct standby *standby, const char *holder)
{
	if (standby->displaced && (holder == NULL || is_own(standby, holder))) {
		log_displaced(standby);
		go(standby, STANDBY_LOOK, RENEW_MS);
	} else if (standby->displaced) {
		standby->displaced = standby->logged = false;
		go(standby, STANDBY_TAKE, POLL_MS);
	} else {
		go(standby, STANDBY_TAKE, GRACE_MS);
	}
}

static void take_renewal(struct standby *standby, const char *holder)
{
	standby->refusals = is_own(standby, holder) ? 0 : standby->refusals + 1;
	if (standby->refusals < REFUSALS_MAX) {
		go(standby, STANDBY_HOLD, RENEW_MS);
		return;
	}
	log_warn("lease-lost component=%s holder=%.*s", standby->stream->domain,
	         (int)strcspn(holder == NULL ? "" : holder, " "), holder == NULL ? "" : holder);
	standby->step = STANDBY_YIELD;
	stream_yield(standby->stream);
}

static void take_end(struct standby *standby, const char *holder)
{
	if (standby->stream->state != STREAM_OFF) {
		go(standby, STANDBY_REST, standby->stream->rest_ms);
		return;
	}
	standby->step = STANDBY_OVER;
	standby->over();
}

/* Redis didn't answer, or refused. */
static void take_failure(struct standby *standby)
{
	standby->away = true;
	standby->covered = false;
	if (standby->step == STANDBY_GIVE_BACK && standby->stream->state == STREAM_OFF)
		take_end(standby, NULL);
	else if (standby->step == STANDBY_GIVE_BACK || standby->step == STANDBY_HOLD)
		go(standby, STANDBY_HOLD, RENEW_MS);
	else
		go(standby, STANDBY_LOOK, POLL_MS);
}

/* clang-format off */
static const struct {
	void (*send)(struct standby *standby); /* NULL: the step ends with the stream's state */
	void (*take)(struct standby *standby, const char *holder);
} steps[] = {
	[STANDBY_REST]      = { send_take, take_lease },
	[STANDBY_LOOK]      = { send_look, take_look },
	[STANDBY_TAKE]      = { send_take, take_lease },
	[STANDBY_HOLD]      = { send_renewal, take_renewal },
	[STANDBY_YIELD]     = { NULL, NULL },
	[STANDBY_GIVE_BACK] = { send_give_back, take_end },
	[STANDBY_OVER]      = { NULL, NULL },
};

const char *const standby_step_names[] = {
	[STANDBY_REST]      = "resting",
	[STANDBY_LOOK]      = "looking",
	[STANDBY_TAKE]      = "taking",
	[STANDBY_HOLD]      = "holding",
	[STANDBY_YIELD]     = "yielding",
	[STANDBY_GIVE_BACK] = "giving-back",
	[STANDBY_OVER]      = "over",
};
/* clang-format on */

static void go(struct standby *standby, enum standby_step step, uint32_t wait_ms)
{
	redis_cancel(&standby->call);
	standby->step = step;
	timer_start(&standby->timer, wait_ms);
}

static void on_timer(struct timer *timer)
{
	struct standby *standby = container_of(timer, struct standby, timer);

	if (steps[standby->step].send != NULL)
		steps[standby->step].send(standby);
}

static void on_reply(struct redis_call *call, const struct redisReply *reply)
{
	struct standby *standby = container_of(call, struct standby, call);

	redis_log_error(reply, "lease-refused", &standby->refused);
	if (reply == NULL || redis_reply_error(reply) != NULL) {
		take_failure(standby);
		return;
	}
	standby->away = standby->refused = false;
	steps[standby->step].take(standby, redis_reply_string(reply, NULL));
}

/* ---- the stream ---- */

/* The stream is off: what may have been taken is given back. */
static void end(struct standby *standby)
{
	bool may_hold = standby->step == STANDBY_HOLD || standby->step == STANDBY_YIELD ||
	                redis_busy(&standby->call);

	if (standby->step == STANDBY_GIVE_BACK || standby->step == STANDBY_OVER)
		return;
	timer_stop(&standby->timer);
	if (may_hold) {
		go(standby, STANDBY_GIVE_BACK, 0);
	} else {
		standby->step = STANDBY_OVER;
		standby->over();
	}
}

/* The stream of the holder has ended and isn't to be connected at once. */
static void end_holding(struct standby *standby)
{
	standby->displaced = standby->stream->displaced;
	standby->due_ms = loop_now_ms() + standby->stream->rest_ms;
	if (standby->displaced)
		go(standby, STANDBY_LOOK, 0);
	else if (!standby->away)
		go(standby, STANDBY_GIVE_BACK, 0);
}

void standby_on_change(struct standby *standby)
{
	if (standby->stream == NULL)
		return;
	if (standby->stream->state == STREAM_OFF)
		end(standby);
	else if (standby->stream->state == STREAM_STANDBY && standby->step == STANDBY_HOLD)
		end_holding(standby);
	else if (standby->stream->state == STREAM_STANDBY && standby->step == STANDBY_YIELD)
		go(standby, STANDBY_TAKE, POLL_MS);
}

void standby_start(struct standby *standby, struct stream *stream, const char *gateway,
                   void (*over)(void))
{
	standby->stream = stream;
	standby->over = over;
	standby->call.done = on_reply;
	standby->timer.expired = on_timer;
	snprintf(standby->holder, sizeof(standby->holder), "%s %08x%08x", gateway, backoff_random(),
	         backoff_random());
	go(standby, STANDBY_TAKE, 0);
}

void standby_stop(struct standby *standby)
{
	redis_cancel(&standby->call);
	timer_stop(&standby->timer);
}
