#include "pushd/api/devices.c"

#include "tests/unit/logged.h"
#include "tests/unit/unit.h"

static void setup(void)
{
	loop_init();
	log_init("unit", LOG_INFO);
}

static void teardown(void)
{
	log_rate_stop();
	loop_release();
}

START_TEST(refused_registrations_leave_ten_lines_a_second_of_each_limit)
{
	struct logged logged = logged_start();
	const char *text;

	for (int i = 0; i < 15; i++)
		count_refusal(DEVICE_LIMIT_RATE, "example.org");
	count_refusal(DEVICE_LIMIT_ALL, "example.org");
	log_rate_stop();
	text = logged_end(&logged);
	ck_assert_uint_eq(logged_count(text, "limit=registration-rate domain=example.org\n"), 10);
	ck_assert_uint_eq(logged_count(text, "limit=devices-max domain=example.org\n"), 1);
	ck_assert_uint_eq(
	        logged_count(text, "what=registration-refused limit=registration-rate count=5\n"),
	        1);
	ck_assert_int_eq(refused_numbers[DEVICE_LIMIT_RATE], 15);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		refused_registrations_leave_ten_lines_a_second_of_each_limit,
	};

	return unit_run("devices", tests, ARRAY_LEN(tests), setup, teardown);
}
