#include "pushd/delivery/redeliver.c"

#include <string.h>

#include "common/base/log.h"
#include "pushd/db.h"
#include "tests/unit/redis_server.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

static struct redis_server server;
static struct conf_provider provider = { .id = (char *)"apns" };
static struct conf conf = {
	.daemon = { .redis_prefix = (char *)"og:", .queue_max = 10000, .lease_ms = 45000 },
	.providers = { &provider, 1 },
};

/* ---- the sender and the deliveries, as each test wants them ---- */

static struct {
	enum sender_refusal refusal;
	unsigned room;
	size_t waiting;
	size_t deliveries;
	void (*queued)(const struct sender *sender, uint64_t delay_ms);
} given;

static struct delivery *resumed[2 * UNDER_WAY_MAX];
static size_t resumed_count;

size_t senders_count(void)
{
	return 1;
}

struct sender *senders_at(size_t index)
{
	return (struct sender *)&given;
}

const struct conf_provider *sender_provider(const struct sender *sender)
{
	return &provider;
}

enum sender_refusal sender_refusal(const struct sender *sender)
{
	return given.refusal;
}

unsigned sender_room(const struct sender *sender)
{
	return given.room;
}

size_t sender_queued(const struct sender *sender)
{
	return given.waiting;
}

size_t deliveries_count(void)
{
	return given.deliveries;
}

size_t deliveries_max(void)
{
	return 2000;
}

void deliveries_watch(void (*queued)(const struct sender *sender, uint64_t delay_ms))
{
	given.queued = queued;
}

void delivery_resume(struct delivery *delivery, const struct queue_entry *entry)
{
	resumed[resumed_count++] = delivery;
}

static void end_all(enum outcome outcome)
{
	while (resumed_count > 0) {
		struct delivery *delivery = resumed[--resumed_count];

		delivery->outcome = outcome;
		delivery->ended(delivery);
	}
}

/* ---- the queue ---- */

static bool put_done;

static void on_put(struct queue_call *call, enum queue_result result)
{
	ck_assert_int_eq(result, QUEUE_DONE);
	put_done = true;
}

static void put(unsigned number, uint64_t delay_ms)
{
	static struct queue_call call;
	struct queue_place place = { .delay_ms = delay_ms };
	char id[16];
	struct queue_entry entry = {
		.id = id,
		.node = id,
		.provider = "apns",
		.domain = "example.org",
		.priority = PRIORITY_HIGH,
		.item = "{}",
		.count = NOTIFICATION_ABSENT,
		.created_ms = loop_wall_ms(),
		.expires_ms = loop_wall_ms() + 600000,
	};

	snprintf(id, sizeof(id), "%u", number);
	put_done = false;
	call.done = on_put;
	queue_put(&call, &entry, &place);
	WAIT_UNTIL(put_done);
}

/* ---- before and after ---- */

static void setup(void)
{
	log_init("unit", LOG_ERROR);
	loop_init();
	redis_server_init(&server);
	redis_server_start(&server);
	conf.daemon.redis = server.url;
	memset(&given, 0, sizeof(given));
	resumed_count = 0;
	memset(end_numbers, 0, sizeof(end_numbers));
	ck_assert_int_eq(db_module.start(&conf), 0);
	ck_assert_int_eq(queue_module.start(&conf), 0);
	ck_assert_int_eq(redeliver_module.start(&conf), 0);
}

static void teardown(void)
{
	end_all(OUTCOME_UNAVAILABLE); /* as the deliveries' module does, which stops first */
	redeliver_module.stop();
	queue_module.stop();
	db_module.stop();
	redis_server_release(&server);
	loop_release();
}

START_TEST(what_this_process_queued_is_taken_when_it_is_due)
{
	given.room = 10;
	put(1, 30);
	given.queued(senders_at(0), 30);
	WAIT_UNTIL(resumed_count == 1);
	end_all(OUTCOME_SENT);
	ck_assert_int_eq(end_numbers[OUTCOME_SENT], 1);
}
END_TEST

START_TEST(what_another_process_left_is_found_by_looking)
{
	given.room = 10;
	put(1, 0);
	WAIT_UNTIL(resumed_count == 1);
}
END_TEST

START_TEST(no_more_is_taken_at_once_than_the_sender_has_room_for)
{
	for (unsigned i = 0; i < 5; i++)
		put(i, 0);
	given.room = 3;
	given.queued(senders_at(0), 0);
	WAIT_UNTIL(resumed_count > 0);
	ck_assert_uint_eq(resumed_count, 3);
	WAIT_UNTIL(resumed_count == 5);
}
END_TEST

START_TEST(nothing_is_taken_for_a_sender_that_takes_nothing)
{
	given.room = 10;
	given.refusal = SENDER_UNREACHABLE;
	put(1, 0);
	given.queued(senders_at(0), 0);
	turn_for(2 * LOOK_MS + 200);
	ck_assert_uint_eq(resumed_count, 0);
	given.refusal = SENDER_TAKES;
	WAIT_UNTIL(resumed_count == 1);
}
END_TEST

START_TEST(nothing_is_taken_while_half_of_the_deliveries_that_may_be_are_there)
{
	given.room = 10;
	given.deliveries = deliveries_max() / 2;
	put(1, 0);
	given.queued(senders_at(0), 0);
	turn_for(LOOK_MS + 200);
	ck_assert_uint_eq(resumed_count, 0);
	given.deliveries--;
	WAIT_UNTIL(resumed_count == 1);
}
END_TEST

START_TEST(a_busy_sender_gets_a_few_at_each_look)
{
	for (unsigned i = 0; i < TRICKLE + 4; i++)
		put(i, 0);
	given.waiting = 1;
	WAIT_UNTIL(resumed_count > 0);
	ck_assert_uint_eq(resumed_count, TRICKLE);
}
END_TEST

START_TEST(when_more_is_due_than_may_be_under_way_the_rest_follows_as_those_end)
{
	for (unsigned i = 0; i < UNDER_WAY_MAX + 10; i++)
		put(i, 0);
	given.room = QUEUE_TAKE_MAX;
	given.queued(senders_at(0), 0);
	WAIT_UNTIL(resumed_count == UNDER_WAY_MAX);
	turn_for(100);
	ck_assert_uint_eq(resumed_count, UNDER_WAY_MAX);
	end_all(OUTCOME_SENT);
	WAIT_UNTIL(resumed_count == 10);
	ck_assert_int_eq(end_numbers[OUTCOME_SENT], UNDER_WAY_MAX);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_this_process_queued_is_taken_when_it_is_due,
		what_another_process_left_is_found_by_looking,
		no_more_is_taken_at_once_than_the_sender_has_room_for,
		nothing_is_taken_for_a_sender_that_takes_nothing,
		nothing_is_taken_while_half_of_the_deliveries_that_may_be_are_there,
		a_busy_sender_gets_a_few_at_each_look,
		when_more_is_due_than_may_be_under_way_the_rest_follows_as_those_end,
	};

	return unit_run("redeliver", tests, ARRAY_LEN(tests), setup, teardown);
}
