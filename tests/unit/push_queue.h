/*
 * pushd's queue on a real Redis server, each call waited for, and after each a check that entries,
 * queues, slots and their number are at one: for the tests of pushd/queue/queue.c, which include it
 * before this.
 */
#ifndef OG_TESTS_UNIT_PUSH_QUEUE_H
#define OG_TESTS_UNIT_PUSH_QUEUE_H

#include "common/base/buf.h"
#include "tests/unit/redis_server.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define EXPIRY_MS 60000

static struct redis_server server;
static struct conf_provider providers[] = { { .id = (char *)"apns" }, { .id = (char *)"fcm" } };
static struct conf conf = {
	.daemon = {
		.redis_prefix = (char *)"og:",
		.queue_max = 100000,
		.lease_ms = 45000,
	},
	.providers = { providers, ARRAY_LEN(providers) },
};

/* ---- asking the server ---- */

struct question {
	struct redis_call call;
	bool answered;
	int64_t number;
	char text[4096];
};

static inline void on_answer(struct redis_call *call, const struct redisReply *reply)
{
	struct question *question = container_of(call, struct question, call);
	const char *text = redis_reply_string(reply, NULL);

	if (text == NULL)
		text = redis_reply_error(reply);
	question->answered = true;
	question->number = redis_reply_integer(reply, -1);
	snprintf(question->text, sizeof(question->text), "%s", text != NULL ? text : "");
}

/* What the server answers to COMMAND; the text stays until the next question. */
static inline const struct question *ask(const char *command)
{
	static struct question question;

	question = (struct question){ .call.done = on_answer };
	redis_command(self.redis, &question.call, command);
	WAIT_UNTIL(question.answered);
	return &question;
}

/* clang-format off */
static struct redis_script checker = {
	"local time = redis.call('TIME')\n"
	"local now = time[1] * 1000 + time[2] / 1000\n"
	"local p, size = 'og:push:', {}\n"
	"local function count(key, by) size[key] = (size[key] or 0) + by end\n"
	"for _, key in ipairs(redis.call('KEYS', p .. 'note:*')) do\n"
	"  local id, n, flat = key:sub(#p + 6), {}, redis.call('HGETALL', key)\n"
	"  for i = 1, #flat, 2 do n[flat[i]] = flat[i + 1] end\n"
	"  local queue = p .. 'queue:' .. n.provider .. ':' .. n.priority\n"
	"  local entries, slot = queue .. ':' .. n.domain, p .. 'slot:' .. n.node\n"
	"  local due = redis.call('ZSCORE', entries, id)\n"
	"  local turn = redis.call('ZSCORE', queue, n.domain)\n"
	"  if not due then return id .. ' is in no queue' end\n"
	"  if not turn then return n.domain .. ' has no turn' end\n"
	"  if tonumber(turn) > math.max(due, now) then return n.domain .. ' waits too long' end\n"
	"  if redis.call('ZSCORE', p .. 'notes', id) ~= n.expires then return id .. ' never ends' end\n"
	"  if n.slot ~= '' and redis.call('GET', slot) ~= id then return id .. ' lacks its slot' end\n"
	"  if not size[entries] then count(queue, 1) end\n"
	"  if n.slot ~= '' then count(slot, 1) end\n"
	"  if not size['stored ' .. n.provider] then count(p .. 'stored', 1) end\n"
	"  count(entries, 1)\n"
	"  count(p .. 'notes', 1)\n"
	"  count('stored ' .. n.provider, 1)\n"
	"  count(key, #flat / 2)\n"
	"end\n"
	"for _, key in ipairs(redis.call('KEYS', '*')) do\n"
	"  local type = redis.call('TYPE', key).ok\n"
	"  local command = ({ zset = 'ZCARD', hash = 'HLEN', string = 'EXISTS' })[type]\n"
	"  if not size[key] then return 'nobody needs ' .. key end\n"
	"  if redis.call(command, key) ~= size[key] then return key .. ' holds too much' end\n"
	"end\n"
	"local stored = redis.call('HGETALL', p .. 'stored')\n"
	"for i = 1, #stored, 2 do\n"
	"  local right = size['stored ' .. stored[i]]\n"
	"  if tonumber(stored[i + 1]) ~= right then return stored[i] .. ' is counted wrong' end\n"
	"end\n"
	"return 'at one'\n"
};
/* clang-format on */

static inline void check_queue(void)
{
	struct question question = { .call.done = on_answer };

	redis_eval(self.redis, &question.call, &checker, &(struct redis_args){ 0, 0, NULL });
	WAIT_UNTIL(question.answered);
	ck_assert_str_eq(question.text, "at one");
}

/* ---- calls, waited for ---- */

struct asked {
	struct queue_call call;
	int answers;
	enum queue_result result;
};

static inline void on_asked(struct queue_call *call, enum queue_result result)
{
	struct asked *asked = container_of(call, struct asked, call);

	asked->answers++;
	asked->result = result;
}

static inline enum queue_result await(struct asked *asked)
{
	WAIT_UNTIL(asked->answers > 0);
	ck_assert_int_eq(asked->answers, 1);
	ck_assert(!queue_busy(&asked->call));
	check_queue();
	return asked->result;
}

/* One to romeo's phone, which names the domain; ID is also its item. */
static inline struct queue_entry entry_of(const char *id, const char *domain,
                                          enum priority priority)
{
	return (struct queue_entry){
		.id = id,
		.node = domain,
		.provider = "apns",
		.domain = domain,
		.priority = priority,
		.item = id,
		.count = NOTIFICATION_ABSENT,
		.created_ms = loop_wall_ms(),
		.expires_ms = loop_wall_ms() + EXPIRY_MS,
	};
}

static inline enum queue_result put(struct queue_entry entry, struct queue_place place)
{
	struct asked asked = { .call.done = on_asked };

	queue_put(&asked.call, &entry, &place);
	ck_assert_int_eq(asked.answers, 0);
	return await(&asked);
}

/* Puts an entry that is due. */
static inline void put_due(const char *id, const char *domain, enum priority priority)
{
	ck_assert_int_eq(put(entry_of(id, domain, priority), (struct queue_place){ 0 }),
	                 QUEUE_DONE);
}

static inline enum queue_result settle(const char *id)
{
	struct asked asked = { .call.done = on_asked };

	queue_settle(&asked.call, id);
	return await(&asked);
}

static inline enum queue_result give_back(const char *id, struct queue_place place)
{
	struct asked asked = { .call.done = on_asked };

	queue_give_back(&asked.call, id, &place);
	return await(&asked);
}

/* What the last take gave; ids are in its text, the rest is the last entry's. */
static struct {
	struct queue_taking taking;
	int answers;
	enum queue_result result;
	char ids[8192];
	struct queue_entry last; /* its texts are gone */
	int64_t next_due_ms;
} taken;

static inline void on_take(struct queue_taking *taking, enum queue_result result,
                           const struct queue_entry *entries, size_t count, int64_t next_due_ms)
{
	size_t len = 0;

	taken.answers++;
	taken.result = result;
	taken.next_due_ms = next_due_ms;
	taken.ids[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		ck_assert_str_eq(entries[i].item, entries[i].id);
		len += (size_t)snprintf(taken.ids + len, sizeof(taken.ids) - len, "%s%s",
		                        i > 0 ? " " : "", entries[i].id);
		ck_assert_uint_lt(len, sizeof(taken.ids));
		taken.last = entries[i];
	}
}

/* Takes up to COUNT; their ids with blanks between. */
static inline const char *take_of(const char *provider, unsigned count)
{
	taken.answers = 0;
	taken.taking.done = on_take;
	queue_take(&taken.taking, provider, count);
	WAIT_UNTIL(taken.answers > 0);
	check_queue();
	return taken.ids;
}

static inline const char *take(unsigned count)
{
	return take_of("apns", count);
}

/* Takes until one has come: "" if none comes. */
static inline const char *take_when_due(void)
{
	uint64_t end_ms = loop_now_ms() + unit_wait_s() * 1000ull;

	while (take(1)[0] == '\0' && loop_now_ms() < end_ms)
		turn_for(5);
	return taken.ids;
}

/* True when ID has no entry any more. */
static inline bool gone(const char *id)
{
	char command[64];

	snprintf(command, sizeof(command), "EXISTS og:push:note:%s", id);
	return ask(command)->number == 0;
}

static inline void check_empty(void)
{
	ck_assert_int_eq(ask("DBSIZE")->number, 0);
}

/* ---- before and after ---- */

static inline void open_queue(void)
{
	conf.daemon.redis = server.url;
	ck_assert_int_eq(queue_module.start(&conf), 0);
}

static inline void setup(void)
{
	log_init("unit", LOG_ERROR);
	loop_init();
	redis_server_init(&server);
	redis_server_start(&server);
	open_queue();
}

static inline void teardown(void)
{
	queue_module.stop();
	redis_server_release(&server);
	loop_release();
}

#endif
