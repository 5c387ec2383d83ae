/*
 * The relay's store on a real Redis server, with its calendar, outbox and leases, and a way to ask
 * that server something, for the tests of what is built on them.
 */
#ifndef OG_TESTS_UNIT_RELAY_STORE_H
#define OG_TESTS_UNIT_RELAY_STORE_H

#include <stdarg.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "relayd/conf.h"
#include "relayd/fleet/fleet.h"
#include "relayd/quota/calendar.h"
#include "relayd/quota/lease.h"
#include "relayd/quota/outbox.h"
#include "tests/unit/redis_server.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

static struct redis_server relay_server;
static struct relay_conf relay_conf = {
	.id = (char *)"relay-1",
	.redis_prefix = (char *)"og:",
	.quantum_bytes = 1 << 20,
	.transfers_max = 1000,
};

struct relay_question {
	struct redis_call call;
	bool answered;
	char text[1024]; /* "(nil)", "(none)" for no elements, else all with blanks between */
};

static inline void relay_append(struct relay_question *question, const struct redisReply *reply)
{
	size_t len = strlen(question->text);
	const char *text = redis_reply_string(reply, NULL);
	char number[24];

	if (redis_reply_count(reply) > 0) {
		for (size_t i = 0; i < redis_reply_count(reply); i++)
			relay_append(question, redis_reply_at(reply, i));
		return;
	}
	if (text == NULL)
		text = redis_reply_error(reply);
	snprintf(number, sizeof(number), "%lld", (long long)redis_reply_integer(reply, INT64_MIN));
	if (text == NULL && redis_reply_nil(reply))
		text = "(nil)";
	else if (text == NULL)
		text = redis_reply_integer(reply, -1) == -1 ? "(none)" : number;
	snprintf(question->text + len, sizeof(question->text) - len, "%s%s", len > 0 ? " " : "",
	         text);
}

static inline void relay_on_answer(struct redis_call *call, const struct redisReply *reply)
{
	struct relay_question *question = container_of(call, struct relay_question, call);

	relay_append(question, reply);
	question->answered = true;
}

/* What the server answers to COMMAND, as text that stays until the next question. */
static inline const char *relay_ask(const char *command)
{
	static struct relay_question question;

	question = (struct relay_question){ .call.done = relay_on_answer };
	redis_command(fleet_redis(), &question.call, command);
	WAIT_UNTIL(question.answered);
	return question.text;
}

/* FORMAT becomes the command's words; %M in it stands for this month. */
static inline void relay_expect(const char *answer, const char *format)
{
	char command[256];
	const char *month = strstr(format, "%M");

	if (month == NULL)
		snprintf(command, sizeof(command), "%s", format);
	else
		snprintf(command, sizeof(command), "%.*s%u%s", (int)(month - format), format,
		         calendar_month()->number, month + 2);
	ck_assert_msg(strcmp(relay_ask(command), answer) == 0, "%s: %s, not %s", command,
	              relay_ask(command), answer);
}

static inline void relay_store_setup(void)
{
	log_init("unit", LOG_ERROR);
	loop_init();
	redis_server_init(&relay_server);
	redis_server_start(&relay_server);
	relay_conf.redis = relay_server.url;
	ck_assert_int_eq(fleet_module.start(&relay_conf), 0);
	ck_assert_int_eq(outbox_module.start(&relay_conf), 0);
	ck_assert_int_eq(calendar_module.start(&relay_conf), 0);
	ck_assert_int_eq(lease_module.start(&relay_conf), 0);
	WAIT_UNTIL(fleet_ready());
}

static inline void relay_store_teardown(void)
{
	lease_module.stop();
	calendar_module.stop();
	outbox_module.stop();
	fleet_module.stop();
	redis_server_release(&relay_server);
	loop_release();
}

#endif
