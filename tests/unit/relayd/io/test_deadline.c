#include "relayd/io/deadline.c"

#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

struct item {
	struct deadline deadline;
	int expired;
	int place; /* among all that expired */
};

static int places;

static struct deadline_queue queue;

static void setup(void)
{
	loop_init();
}

static void teardown(void)
{
	deadline_queue_release(&queue);
	loop_release();
}

static void note(struct deadline *deadline)
{
	struct item *item = container_of(deadline, struct item, deadline);

	item->expired++;
	item->place = ++places;
}

static void note_and_start_again(struct deadline *deadline)
{
	note(deadline);
	deadline_start(&queue, deadline);
}

START_TEST(a_deadline_expires_once_after_the_delay_and_not_before)
{
	struct item item = { 0 };
	uint64_t start = loop_now_ms();

	deadline_queue_init(&queue, 30, note);
	deadline_start(&queue, &item.deadline);
	while (item.expired == 0)
		loop_turn(1000);
	ck_assert_uint_ge(loop_now_ms() - start, 30);
	ck_assert(!list_linked(&item.deadline.link));
	ck_assert(!timer_active(&queue.timer));
}
END_TEST

START_TEST(a_stopped_deadline_does_not_expire)
{
	struct item stopped = { 0 }, other = { 0 };

	deadline_queue_init(&queue, 10, note);
	deadline_start(&queue, &stopped.deadline);
	deadline_start(&queue, &other.deadline);
	deadline_stop(&stopped.deadline);
	deadline_stop(&stopped.deadline);
	while (other.expired == 0)
		loop_turn(1000);
	ck_assert_int_eq(stopped.expired, 0);
}
END_TEST

START_TEST(starting_again_puts_a_deadline_off_behind_the_others)
{
	struct item first = { 0 }, second = { 0 };
	uint64_t again;

	deadline_queue_init(&queue, 500, note);
	deadline_start(&queue, &first.deadline);
	deadline_start(&queue, &second.deadline);
	while (loop_now_ms() < second.deadline.due_ms - 480)
		loop_turn(5);
	again = loop_now_ms();
	deadline_start(&queue, &first.deadline);
	while (first.expired == 0)
		loop_turn(1000);
	ck_assert_int_eq(second.expired, 1);
	ck_assert_int_lt(second.place, first.place);
	ck_assert_uint_ge(loop_now_ms() - again, 500);
}
END_TEST

START_TEST(a_deadline_may_start_itself_again_when_it_expires)
{
	static struct item item; /* outlives the queue */

	deadline_queue_init(&queue, 5, note_and_start_again);
	deadline_start(&queue, &item.deadline);
	while (item.expired < 3)
		loop_turn(1000);
	ck_assert(list_linked(&item.deadline.link));
}
END_TEST

START_TEST(thousands_expire_in_portions_and_none_is_forgotten)
{
	static struct item items[3 * EXPIRED_PER_TURN];
	int turns = 0;

	deadline_queue_init(&queue, 1, note);
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		deadline_start(&queue, &items[i].deadline);
	WAIT_UNTIL((turns++, list_empty(&queue.waiting)));
	ck_assert_int_gt(turns, 3);
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		ck_assert_int_eq(items[i].expired, 1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_deadline_expires_once_after_the_delay_and_not_before,
		a_stopped_deadline_does_not_expire,
		starting_again_puts_a_deadline_off_behind_the_others,
		a_deadline_may_start_itself_again_when_it_expires,
		thousands_expire_in_portions_and_none_is_forgotten,
	};

	return unit_run("deadline", tests, ARRAY_LEN(tests), setup, teardown);
}
