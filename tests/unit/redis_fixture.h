/* A connection to a real server and calls that remember their answer, for the tests of redis.c. */
#ifndef OG_TESTS_UNIT_REDIS_FIXTURE_H
#define OG_TESTS_UNIT_REDIS_FIXTURE_H

#include "common/redis/redis.h"
#include "tests/unit/redis_server.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define PATIENT_MS 5000 /* more than a busy machine needs */
#define NEVER_MS 600000 /* a timeout that no test lives to see */

static struct redis_server server;
static struct redis *redis;

/* A call, and what came of it. */
struct asked {
	struct redis_call call;
	int answers;
	bool none; /* the answer was: no reply */
	char text[64];
	long long number;
	uint64_t at_ms;
};

static inline void on_asked(struct redis_call *call, const struct redisReply *reply)
{
	struct asked *asked = container_of(call, struct asked, call);
	const char *text = redis_reply_string(reply, NULL);

	asked->answers++;
	asked->none = reply == NULL;
	asked->number = redis_reply_integer(reply, -1);
	asked->at_ms = loop_now_ms();
	if (text == NULL)
		text = redis_reply_error(reply);
	snprintf(asked->text, sizeof(asked->text), "%s", text != NULL ? text : "");
}

static inline struct redis *open_patient(const char *url, unsigned timeout_ms)
{
	struct redis_options options = { .url = url, .prefix = "og:", .timeout_ms = timeout_ms };
	struct redis *made = redis_new(&options);

	ck_assert_ptr_nonnull(made);
	return made;
}

static inline void open_server(void)
{
	redis_server_start(&server);
	redis = open_patient(server.url, PATIENT_MS);
}

/* Waits for the answer of ASKED, which must be TEXT (NULL: no reply). */
static inline void expect(struct asked *asked, const char *text)
{
	WAIT_UNTIL(asked->answers > 0);
	ck_assert_int_eq(asked->answers, 1);
	ck_assert_int_eq(asked->none, text == NULL);
	ck_assert_str_eq(asked->text, text != NULL ? text : "");
	ck_assert(!redis_busy(&asked->call));
	asked->answers = 0;
}

static inline void expect_command(const char *command, const char *text)
{
	struct asked asked = { .call.done = on_asked };

	redis_command(redis, &asked.call, command);
	expect(&asked, text);
}

static int changes, last_change;

static inline void on_change(struct redis *changed, bool connected)
{
	changes++;
	last_change = connected;
}

static inline void setup(void)
{
	loop_init();
	redis_server_init(&server);
}

static inline void teardown(void)
{
	redis_free(redis);
	redis_server_release(&server);
	loop_release();
}

#endif
