#include "pushd/sender/queue.c"

#include "tests/unit/unit.h"

static struct queue queue;
static struct list_link links[6];

static void setup(void)
{
	queue_init(&queue);
}

static void expect_next(size_t index)
{
	struct list_link *first = queue_first(&queue);

	ck_assert_ptr_eq(first, &links[index]);
	queue_remove(&queue, first);
}

START_TEST(calls_go_before_high_before_low_and_equals_in_their_order)
{
	queue_add(&queue, &links[0], PRIORITY_LOW);
	queue_add(&queue, &links[1], PRIORITY_HIGH);
	queue_add(&queue, &links[2], PRIORITY_VOIP);
	queue_add(&queue, &links[3], PRIORITY_HIGH);
	queue_add(&queue, &links[4], PRIORITY_VOIP);
	queue_add(&queue, &links[5], PRIORITY_LOW);
	expect_next(2);
	expect_next(4);
	expect_next(1);
	expect_next(3);
	expect_next(0);
	expect_next(5);
	ck_assert_ptr_null(queue_first(&queue));
}
END_TEST

START_TEST(what_is_put_back_goes_first_among_its_equals)
{
	queue_add(&queue, &links[0], PRIORITY_HIGH);
	queue_add(&queue, &links[1], PRIORITY_HIGH);
	expect_next(0);
	queue_add(&queue, &links[2], PRIORITY_VOIP);
	queue_return(&queue, &links[0], PRIORITY_HIGH);
	ck_assert_uint_eq(queue.count, 3);
	expect_next(2);
	expect_next(0);
	expect_next(1);
	ck_assert_int_eq(length, 0);
}
END_TEST

START_TEST(it_counts_what_is_in_it_once)
{
	queue_add(&queue, &links[0], PRIORITY_LOW);
	queue_add(&queue, &links[1], PRIORITY_HIGH);
	ck_assert_uint_eq(queue.count, 2);
	ck_assert_int_eq(length, 2);
	queue_remove(&queue, &links[0]);
	queue_remove(&queue, &links[0]);
	ck_assert_uint_eq(queue.count, 1);
	ck_assert_int_eq(length, 1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		calls_go_before_high_before_low_and_equals_in_their_order,
		what_is_put_back_goes_first_among_its_equals,
		it_counts_what_is_in_it_once,
	};

	return unit_run("queue", tests, sizeof(tests) / sizeof(tests[0]), setup, NULL);
}
