#include "relayd/quota/active.c"

#include "tests/unit/unit.h"

static const struct party strangers[2] = { { "a@x", "x", true }, { "b@y", "y", true } };
static const struct party neighbours[2] = { { "a@x", "x", true }, { "c@x", "x", true } };
static const struct party one_user[2] = { { "a@x", "x", true }, { "a@x", "x", true } };
static const struct party first_only[2] = { { "a@x", "x", true }, { "b@y", "y", false } };

static struct relay_conf caps;
static struct active streams[8];
static struct active_excess excess;

static void setup(void)
{
	ck_assert_int_eq(active_module.start(&caps), 0);
}

static void teardown(void)
{
	for (size_t i = 0; i < ARRAY_LEN(streams); i++)
		active_release(&streams[i]);
	ck_assert_uint_eq(users.count, 0);
	ck_assert_uint_eq(domains.count, 0);
	active_module.stop();
}

static bool take(int stream, const struct party *parties)
{
	return active_take(&streams[stream], parties, &excess);
}

START_TEST(a_user_has_as_many_streams_as_it_may_and_one_more_when_one_ends)
{
	caps.streams_per_user_max = 2;
	ck_assert(take(0, first_only));
	ck_assert(take(1, strangers));
	ck_assert(!take(2, first_only));
	ck_assert_str_eq(excess.account, "a@x");
	ck_assert(excess.is_user);
	ck_assert_int_eq(excess.most, 2);
	ck_assert_ptr_null(streams[2].users[0]);
	active_release(&streams[0]);
	ck_assert(take(2, first_only));
}
END_TEST

START_TEST(who_is_not_charged_is_not_counted)
{
	caps.streams_per_user_max = 1;
	ck_assert(take(0, first_only));
	ck_assert_uint_eq(users.count, 1);
	ck_assert_uint_eq(domains.count, 1);
	ck_assert(!take(1, strangers));
	active_release(&streams[0]);
	ck_assert(take(1, strangers)); /* b@y had none */
	ck_assert(!take(2, (struct party[]){ { "z@z", "z", true }, { "b@y", "y", true } }));
	ck_assert_str_eq(excess.account, "b@y");
}
END_TEST

START_TEST(a_domain_counts_a_stream_of_two_of_its_users_once)
{
	caps.streams_per_domain_max = 2;
	ck_assert(take(0, neighbours));
	ck_assert(take(1, one_user));
	ck_assert(!take(2, first_only));
	ck_assert_str_eq(excess.account, "x");
	ck_assert(!excess.is_user);
	active_release(&streams[0]);
	ck_assert(take(2, first_only));
	ck_assert(!take(3, first_only));
}
END_TEST

START_TEST(a_stream_of_one_user_with_itself_counts_once)
{
	caps.streams_per_user_max = 2;
	ck_assert(take(0, one_user));
	ck_assert(take(1, one_user));
	ck_assert(!take(2, one_user));
}
END_TEST

START_TEST(without_caps_any_number_goes)
{
	for (int i = 0; i < (int)ARRAY_LEN(streams); i++)
		ck_assert(take(i, one_user));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_user_has_as_many_streams_as_it_may_and_one_more_when_one_ends,
		who_is_not_charged_is_not_counted,
		a_domain_counts_a_stream_of_two_of_its_users_once,
		a_stream_of_one_user_with_itself_counts_once,
		without_caps_any_number_goes,
	};

	return unit_run("active", tests, ARRAY_LEN(tests), setup, teardown);
}
