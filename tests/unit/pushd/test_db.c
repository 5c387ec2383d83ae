#include "pushd/db.c"

#include "common/base/mem.h"
#include "tests/unit/redis_server.h"
#include "tests/unit/redis_tell.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

static struct redis_server server;
static struct conf conf;
static int failures;

/* Instead of the daemon's: its end is counted. */
void daemon_fail(void)
{
	failures++;
}

static void setup(void)
{
	log_init("unit", LOG_ERROR);
	loop_init();
	redis_server_init(&server);
	conf.daemon.redis = server.url;
	conf.daemon.redis_prefix = (char *)"og:";
}

static void teardown(void)
{
	db_module.stop();
	redis_server_release(&server);
	loop_release();
}

static void open_db(void)
{
	ck_assert_int_eq(db_module.start(&conf), 0);
	WAIT_UNTIL(redis_connected(db_redis()) && !redis_busy(&self.info));
}

START_TEST(a_server_that_keeps_everything_is_served)
{
	ck_assert_int_eq(db_module.start(&conf), 0);
	ck_assert(!db_serving());
	redis_server_start(&server);
	WAIT_UNTIL(self.seen);
	ck_assert(db_serving());
	ck_assert_int_eq(failures, 0);
}
END_TEST

START_TEST(a_server_that_evicts_at_the_first_connection_ends_the_daemon)
{
	redis_server_start(&server);
	redis_tell(server.url, "CONFIG SET maxmemory-policy allkeys-lru");
	open_db();
	ck_assert(!db_keeps());
	ck_assert(!db_serving());
	ck_assert_int_eq(failures, 1);
}
END_TEST

START_TEST(a_server_that_evicts_later_is_not_served_until_it_keeps_everything)
{
	redis_server_start(&server);
	open_db();
	redis_tell(server.url, "CONFIG SET maxmemory-policy volatile-ttl");
	redis_tell(server.url, "CLIENT KILL TYPE normal SKIPME yes");
	WAIT_UNTIL(!db_keeps());
	ck_assert(redis_connected(db_redis()) && !db_serving());
	redis_tell(server.url, "CONFIG SET maxmemory-policy noeviction");
	WAIT_UNTIL(db_serving());
	ck_assert_int_eq(failures, 0);
}
END_TEST

START_TEST(a_server_that_does_not_tell_is_served)
{
	redis_server_start(&server);
	redis_tell(server.url, "ACL SETUSER default -info");
	open_db();
	ck_assert(!self.seen);
	ck_assert(db_serving());
	ck_assert_int_eq(failures, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_server_that_keeps_everything_is_served,
		a_server_that_evicts_at_the_first_connection_ends_the_daemon,
		a_server_that_evicts_later_is_not_served_until_it_keeps_everything,
		a_server_that_does_not_tell_is_served,
	};

	return unit_run("db", tests, ARRAY_LEN(tests), setup, teardown);
}
