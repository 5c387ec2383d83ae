#include "relayd/io/throttle.h"

#include <stdlib.h>

#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "relayd/conf.h"

#define SECOND_NS UINT64_C(1000000000)

/* The bytes of a turn: what the rate gives in so long, within these. */
#define GRAINS_PER_SECOND 16
#define GRAIN_LEAST (16 * 1024)
#define GRAIN_MOST (1024 * 1024)
#define BURSTS_PER_SECOND 4 /* a bucket that was left alone has a quarter of a second */
#define BURST_GRAINS 2      /* or so much */
#define LOOK_EVERY_MS 1000

struct bucket {
	const int64_t *rate; /* bytes per second, of the configuration; 0: any */
	uint64_t tokens;     /* bytes */
	uint64_t filled_ns;  /* when the last whole token came */
	struct list waiting; /* throttles, in the order of their turns */
	struct timer timer;  /* until the first one's turn; idle if nobody waits */
};

#define BUCKETS 4 /* own, two users', the relay's */

struct throttle {
	struct task *task;
	struct list_link link; /* among those that wait for one bucket */
	bool has_turn;         /* it doesn't line up behind those that wait */
	struct bucket own;
	struct bucket *buckets[BUCKETS]; /* NULL behind the last */
};

static const struct relay_conf *conf; /* borrowed: its rates may change */
static struct bucket relay;

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t grain(uint64_t rate)
{
	return lesser(greater(rate / GRAINS_PER_SECOND, GRAIN_LEAST), GRAIN_MOST);
}

static uint64_t burst(uint64_t rate)
{
	return greater(rate / BURSTS_PER_SECOND, BURST_GRAINS * grain(rate));
}

/* Nanoseconds in which RATE gives BYTES. */
static uint64_t time_of(uint64_t bytes, uint64_t rate)
{
	return (uint64_t)((double)bytes * (double)SECOND_NS / (double)rate);
}

/* Adds the tokens that have come until NOW_NS. */
static void refill(struct bucket *bucket, uint64_t now_ns)
{
	uint64_t rate = (uint64_t)*bucket->rate;
	double more = (double)(now_ns - bucket->filled_ns) * (double)rate / (double)SECOND_NS;

	if (more >= (double)burst(rate) || bucket->tokens + (uint64_t)more >= burst(rate)) {
		bucket->tokens = burst(rate);
		bucket->filled_ns = now_ns;
	} else {
		bucket->tokens += (uint64_t)more;
		bucket->filled_ns += time_of((uint64_t)more, rate);
	}
}

/* What BUCKET has for the next one whose turn it is; 0: not enough. */
static uint64_t available(struct bucket *bucket, uint64_t now_ns)
{
	uint64_t least;

	if (*bucket->rate == 0)
		return UINT64_MAX;
	refill(bucket, now_ns);
	least = grain((uint64_t)*bucket->rate);
	if (bucket->tokens < least)
		return 0;
	return list_empty(&bucket->waiting) ? bucket->tokens : least;
}

/* What a turn lacks. */
static uint64_t missing(const struct bucket *bucket)
{
	uint64_t wanted = grain((uint64_t)*bucket->rate);

	return wanted - lesser(wanted, bucket->tokens);
}

/* The next turn is when there are BYTES more, or sooner: the rate may change meanwhile. */
static void await_turn(struct bucket *bucket, uint64_t bytes)
{
	uint64_t rate = (uint64_t)*bucket->rate;
	uint64_t ms = rate == 0 ? 0 : time_of(bytes, rate) / 1000000;

	timer_start(&bucket->timer, lesser(ms, LOOK_EVERY_MS) + 1);
}

static void give_turn(struct bucket *bucket)
{
	struct throttle *throttle =
	        container_of(list_take(&bucket->waiting), struct throttle, link);

	throttle->has_turn = true;
	task_start(throttle->task);
}

/* As many turns as there are grains; whoever gets one takes at most a grain while others wait. */
static void on_turn(struct timer *timer)
{
	struct bucket *bucket = container_of(timer, struct bucket, timer);
	uint64_t rate = (uint64_t)*bucket->rate, turns = UINT64_MAX;

	if (rate > 0) {
		refill(bucket, loop_now_ns());
		turns = bucket->tokens / grain(rate);
	}
	for (; turns > 0 && !list_empty(&bucket->waiting); turns--)
		give_turn(bucket);
	if (!list_empty(&bucket->waiting))
		await_turn(bucket, missing(bucket) > 0 ? missing(bucket) : grain(rate));
}

static void bucket_init(struct bucket *bucket, const int64_t *rate)
{
	*bucket = (struct bucket){ .rate = rate, .filled_ns = loop_now_ns() };
	bucket->tokens = burst((uint64_t)*rate);
	bucket->timer.expired = on_turn;
	list_init(&bucket->waiting);
}

struct bucket *throttle_bucket_new(void)
{
	struct bucket *bucket = mem_alloc(1, sizeof(*bucket));

	bucket_init(bucket, &conf->user_rate);
	return bucket;
}

bool throttle_has_rates(void)
{
	return conf->stream_rate > 0 || conf->user_rate > 0 || conf->relay_rate > 0;
}

struct throttle *throttle_new(struct task *task, struct bucket *const users[2])
{
	struct throttle *throttle = mem_alloc(1, sizeof(*throttle));
	int count = 0;

	throttle->task = task;
	bucket_init(&throttle->own, &conf->stream_rate);
	throttle->buckets[count++] = &throttle->own;
	for (int i = 0; i < 2; i++)
		if (users[i] != NULL)
			throttle->buckets[count++] = users[i];
	throttle->buckets[count] = &relay;
	return throttle;
}

void throttle_free(struct throttle *throttle)
{
	if (throttle == NULL)
		return;
	list_remove(&throttle->link);
	for (int i = 0; i < BUCKETS && throttle->buckets[i] != NULL; i++)
		if (list_empty(&throttle->buckets[i]->waiting))
			timer_stop(&throttle->buckets[i]->timer);
	free(throttle);
}

/* The first bucket that has nothing for THROTTLE, or NULL; *BYTES is what all have. */
static struct bucket *find_empty(struct throttle *throttle, uint64_t *bytes)
{
	uint64_t now_ns = loop_now_ns();

	*bytes = UINT64_MAX;
	for (int i = 0; i < BUCKETS && throttle->buckets[i] != NULL; i++) {
		struct bucket *bucket = throttle->buckets[i];
		bool in_line = !list_empty(&bucket->waiting) && !throttle->has_turn;
		uint64_t some = in_line ? 0 : available(bucket, now_ns);

		if (some == 0)
			return bucket;
		*bytes = lesser(*bytes, some);
	}
	return NULL;
}

uint64_t throttle_allows(struct throttle *throttle)
{
	uint64_t bytes;

	return find_empty(throttle, &bytes) == NULL ? bytes : 0;
}

void throttle_spend(struct throttle *throttle, uint64_t bytes)
{
	throttle->has_turn = false;
	for (int i = 0; i < BUCKETS && throttle->buckets[i] != NULL; i++)
		throttle->buckets[i]->tokens -= lesser(bytes, throttle->buckets[i]->tokens);
}

bool throttle_wait(struct throttle *throttle)
{
	uint64_t bytes;
	struct bucket *bucket = find_empty(throttle, &bytes);

	if (bucket == NULL)
		return false;
	if (list_linked(&throttle->link))
		return true;
	list_append(&bucket->waiting, &throttle->link);
	if (!timer_active(&bucket->timer))
		await_turn(bucket, missing(bucket));
	return true;
}

bool throttle_waits(const struct throttle *throttle)
{
	return throttle != NULL && list_linked(&throttle->link);
}

void throttle_start(const struct relay_conf *config)
{
	conf = config;
	bucket_init(&relay, &conf->relay_rate);
}

void throttle_stop(void)
{
	timer_stop(&relay.timer);
}
