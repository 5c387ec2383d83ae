#include "pushd/delivery/delivery.c"

#include "tests/unit/logged.h"
#include "tests/unit/redis_server.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define ANSWER_MS 100
#define COMPONENT "push.example.org"
#define DOMAIN "example.org"
#define FAILURES_MAX 900

static struct redis_server server;
static struct conf_provider provider = { .id = (char *)"apns", .expiry_ms = 600000 };
static struct conf conf = {
	.daemon = {
		.redis_prefix = (char *)"og:",
		.queue_max = 1000,
		.lease_ms = 45000,
		.in_flight_max = 100,
		.answer_within_ms = ANSWER_MS,
	},
	.providers = { &provider, 1 },
};

/* ---- the sender, as each test wants it ---- */

static struct {
	enum sender_refusal refusal;
	bool full;
	bool trusted;
	bool on_wire; /* what it has can't be taken back */
	struct job *job;
	unsigned submitted, cancelled;
} sender;

struct sender *senders_find(const char *id)
{
	return strcmp(id, provider.id) == 0 ? (struct sender *)&sender : NULL;
}

const struct conf_provider *sender_provider(const struct sender *any)
{
	return &provider;
}

enum sender_refusal sender_refusal(const struct sender *any)
{
	return sender.refusal;
}

bool sender_trusted(const struct sender *any)
{
	return sender.trusted;
}

bool sender_submit(struct sender *any, struct job *job)
{
	if (sender.full)
		return false;
	sender.job = job;
	sender.submitted++;
	return true;
}

bool sender_abandon(struct job *job)
{
	if (sender.on_wire)
		return false;
	sender.job = NULL;
	return true;
}

void sender_cancel(struct job *job)
{
	sender.job = NULL;
	sender.cancelled++;
}

/* The provider's verdict on what the sender has. */
static void judge(enum verdict verdict, const char *reason)
{
	struct job *job = sender.job;

	sender.job = NULL;
	job->judgement.verdict = verdict;
	job->attempts = 1;
	mem_copy_word(job->judgement.reason, sizeof(job->judgement.reason), reason);
	mem_copy_word(job->judgement.id, sizeof(job->judgement.id), job->id);
	job->done(job);
}

/* ---- deliveries ---- */

struct one {
	struct delivery delivery;
	int settled, ended;
	enum outcome outcome; /* as it was settled */
	enum outcome last;    /* as it ended */
	char reason[JUDGEMENT_REASON_MAX];
};

static json_t *item;

static void on_settled(struct delivery *delivery)
{
	struct one *one = container_of(delivery, struct one, delivery);

	one->settled++;
	one->outcome = delivery->outcome;
	memcpy(one->reason, delivery->reason, sizeof(one->reason));
}

static void on_ended(struct delivery *delivery)
{
	struct one *one = container_of(delivery, struct one, delivery);

	one->ended++;
	one->last = delivery->outcome;
}

static void start_one(struct one *one, const char *node)
{
	*one = (struct one){
		.delivery = {
			.settled = on_settled,
			.ended = on_ended,
			.item = item,
			.deadline_ms = loop_now_ms() + 60000,
			.notification = { .component = COMPONENT,
			                  .domain = DOMAIN,
			                  .node = node,
			                  .body = "x",
			                  .count = NOTIFICATION_ABSENT,
			                  .pending = NOTIFICATION_ABSENT },
		},
	};
	delivery_start(&one->delivery);
}

/* ---- a device ---- */

static char node[DEVICE_HEX];
static bool registered;

static void on_registered(struct device_registration *registration, enum device_result result)
{
	ck_assert_int_eq(result, DEVICE_DONE);
	memcpy(node, registration->node, sizeof(node));
	registered = true;
}

/* Under ALIAS, too, unless it is NULL. */
static void register_alias(const char *second_token, const char *alias)
{
	static struct device_registration registration;
	struct device device = {
		.component = COMPONENT,
		.owner = "romeo@" DOMAIN,
		.provider = "apns",
		.token = "aabb",
		.second_token = second_token,
		.dialect = "tigase",
		.alias = alias,
	};

	registered = false;
	registration.done = on_registered;
	device_register(&registration, db_redis(), &device,
	                &(struct device_limits){ .per_token = 16, .all = 100, .per_domain = 100 });
	WAIT_UNTIL(registered);
}

static void register_device(const char *second_token)
{
	register_alias(second_token, NULL);
}

/* ---- the queue ---- */

static struct {
	struct queue_taking taking;
	bool answered, resumed;
	struct one one;
} taken;

static void on_taken(struct queue_taking *taking, enum queue_result result,
                     const struct queue_entry *entries, size_t count, int64_t next_due_ms)
{
	ck_assert_int_eq(result, QUEUE_DONE);
	taken.answered = true;
	if (count == 0)
		return;
	taken.resumed = true;
	taken.one = (struct one){ .delivery.ended = on_ended };
	delivery_resume(&taken.one.delivery, &entries[0]);
}

/* Takes the next entry that is due as a delivery. */
static void resume_next(void)
{
	taken.answered = taken.resumed = false;
	taken.taking.done = on_taken;
	queue_take(&taken.taking, "apns", 1);
	WAIT_UNTIL(taken.answered);
}

/* The same once there is one. */
static void resume_due(void)
{
	WAIT_UNTIL((resume_next(), taken.resumed));
}

static struct {
	struct queue_counting counting;
	int64_t count;
} counted;

static void on_counted(struct queue_counting *counting, enum queue_result result,
                       const struct queue_count *counts, size_t count)
{
	counted.count = count > 0 ? counts[0].count : 0;
}

static int64_t queued(void)
{
	counted.count = -1;
	counted.counting.done = on_counted;
	queue_counts(&counted.counting);
	WAIT_UNTIL(counted.count >= 0);
	return counted.count;
}

static uint64_t queued_delay_ms;
static int queued_calls;

static void on_queued(const struct sender *any, uint64_t delay_ms)
{
	queued_calls++;
	queued_delay_ms = delay_ms;
}

/* ---- before and after ---- */

static void setup(void)
{
	log_init("unit", LOG_ERROR);
	loop_init();
	redis_server_init(&server);
	redis_server_start(&server);
	conf.daemon.redis = server.url;
	provider.interval_ms = 0;
	memset(&sender, 0, sizeof(sender));
	queued_calls = 0;
	item = json_pack("{s:s, s:s, s:s}", "component", COMPONENT, "domain", DOMAIN, "node", "n");
	ck_assert_int_eq(db_module.start(&conf), 0);
	ck_assert_int_eq(queue_module.start(&conf), 0);
	ck_assert_int_eq(history_module.start(&conf), 0);
	ck_assert_int_eq(recipient_module.start(&conf), 0);
	ck_assert_int_eq(delivery_module.start(&conf), 0);
	deliveries_watch(on_queued);
	register_device(NULL);
}

static void teardown(void)
{
	delivery_module.stop();
	recipient_module.stop();
	history_module.stop();
	queue_module.stop();
	db_module.stop();
	json_decref(item);
	redis_server_release(&server);
	loop_release();
}

/* ---- the fast path ---- */

START_TEST(what_the_provider_accepts_is_sent_and_leaves_nothing_in_the_queue)
{
	struct one one;

	start_one(&one, node);
	ck_assert_int_eq(one.delivery.phase, DELIVERY_LOOKING);
	ck_assert_uint_eq(deliveries_count(), 1);
	WAIT_UNTIL(sender.job != NULL);
	ck_assert_int_eq(one.delivery.phase, DELIVERY_SENDING);
	judge(VERDICT_SENT, NULL);
	ck_assert_int_eq(one.settled + one.ended, 2);
	ck_assert_int_eq(one.outcome, OUTCOME_SENT);
	ck_assert_uint_eq(deliveries_count(), 0);
	ck_assert_int_eq(queued(), 0);
}
END_TEST

START_TEST(an_unknown_node_a_wrong_component_and_a_wrong_domain_are_gone_alike)
{
	struct one ones[3];

	start_one(&ones[0], "00000000000000000000000000000000");
	start_one(&ones[1], node);
	ones[1].delivery.notification.component = "other.example.org";
	start_one(&ones[2], node);
	ones[2].delivery.notification.domain = "example.net";
	WAIT_UNTIL(deliveries_count() == 0);
	for (size_t i = 0; i < ARRAY_LEN(ones); i++) {
		ck_assert_int_eq(ones[i].outcome, OUTCOME_GONE);
		ck_assert_str_eq(ones[i].reason, "");
	}
	ck_assert_uint_eq(sender.submitted, 0);
}
END_TEST

/* ---- a node from elsewhere ---- */

static struct {
	int calls;
	size_t count;
	char node[DEVICE_HEX];
} aliased;

static void on_aliased(struct delivery *delivery, const struct device *devices, size_t count)
{
	aliased.calls++;
	aliased.count = count;
	mem_copy_word(aliased.node, sizeof(aliased.node), devices[0].node);
}

/* The server published to NAME. */
static void start_named(struct one *one, const char *name)
{
	start_one(one, name);
	one->delivery.aliased = on_aliased;
}

START_TEST(an_alias_is_left_to_the_caller_who_published_to_it)
{
	struct one named, copy;

	memset(&aliased, 0, sizeof(aliased));
	register_alias(NULL, "01#AB");
	start_named(&named, "01#AB");
	start_one(&copy, "01#AB");
	WAIT_UNTIL(deliveries_count() == 0);
	ck_assert_int_eq(aliased.calls, 1);
	ck_assert_uint_eq(aliased.count, 1);
	ck_assert_str_eq(aliased.node, node);
	ck_assert_int_eq(named.settled, 0);
	ck_assert_int_eq(named.ended, 1);
	ck_assert_int_eq(copy.outcome, OUTCOME_GONE);
	ck_assert_uint_eq(sender.submitted, 0);
	start_named(&named, "01#CD");
	WAIT_UNTIL(deliveries_count() == 0);
	ck_assert_int_eq(named.outcome, OUTCOME_GONE);
	ck_assert_int_eq(aliased.calls, 1);
}
END_TEST

START_TEST(a_device_keeps_its_alias_until_its_own_node_is_published_to)
{
	struct one one;

	memset(&aliased, 0, sizeof(aliased));
	register_alias(NULL, "01#AB");
	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	judge(VERDICT_SENT, NULL);
	start_named(&one, "01#AB");
	WAIT_UNTIL(deliveries_count() == 0);
	ck_assert_int_eq(aliased.calls, 1);
	start_named(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	judge(VERDICT_SENT, NULL);
	start_named(&one, "01#AB");
	WAIT_UNTIL(deliveries_count() == 0);
	ck_assert_int_eq(aliased.calls, 1);
	ck_assert_int_eq(one.outcome, OUTCOME_GONE);
}
END_TEST

START_TEST(a_refused_credential_queues_nothing_new)
{
	struct one one;

	sender.refusal = SENDER_CREDENTIAL;
	start_one(&one, node);
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(one.outcome, OUTCOME_UNAVAILABLE);
	ck_assert_str_eq(one.reason, "credential");
	ck_assert_int_eq(queued(), 0);
}
END_TEST

/* ---- into the queue ---- */

START_TEST(what_cannot_be_sent_now_is_queued_and_redeliver_is_told)
{
	struct one one;

	sender.refusal = SENDER_UNREACHABLE;
	start_one(&one, node);
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(one.outcome, OUTCOME_QUEUED);
	ck_assert_int_eq(queued_calls, 1);
	ck_assert_uint_eq(queued_delay_ms, 0);
	ck_assert_int_eq(queued(), 1);
}
END_TEST

START_TEST(a_transient_verdict_queues_with_a_delay)
{
	struct one one;

	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	judge(VERDICT_TRANSIENT, "InternalServerError");
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(one.outcome, OUTCOME_QUEUED);
	ck_assert_uint_ge(queued_delay_ms, RETRY_LEAST_MS / 2);
}
END_TEST

/* One on whose way the provider has failed. */
static void fail_one(void)
{
	struct one one;

	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	sender.job->attempts = 1;
	judge(VERDICT_TRANSIENT, "InternalServerError");
	WAIT_UNTIL(one.ended == 1);
}

START_TEST(of_failures_without_end_ten_lines_a_second_are_written)
{
	struct logged logged = logged_start();
	unsigned failures = 0, lines;

	log_set_level(LOG_INFO);
	/* On a slow machine fewer than ten may fail in a second. */
	while (log_rate_withheld() == 0 && failures < FAILURES_MAX) {
		fail_one();
		failures++;
	}
	ck_assert_int_eq(log_rate_withheld(), 1);
	lines = logged_count(logged_end(&logged), "notification-failed ");
	ck_assert_uint_eq(lines, failures - 1);
	log_rate_stop();
}
END_TEST

START_TEST(what_would_be_due_after_its_expiry_is_unavailable)
{
	struct one one;

	provider.expiry_ms = 1;
	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	judge(VERDICT_TRANSIENT, "InternalServerError");
	provider.expiry_ms = 600000;
	ck_assert_int_eq(one.outcome, OUTCOME_UNAVAILABLE);
	ck_assert_str_eq(one.reason, "expired");
	ck_assert_int_eq(queued(), 0);
}
END_TEST

START_TEST(one_that_is_concluded_before_the_wire_is_taken_back_and_queued)
{
	struct one one;

	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	delivery_conclude(&one.delivery);
	ck_assert_int_eq(one.delivery.phase, DELIVERY_ENQUEUEING);
	ck_assert_ptr_null(sender.job);
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(one.outcome, OUTCOME_QUEUED);
}
END_TEST

START_TEST(one_that_is_concluded_while_its_device_is_looked_up_is_queued)
{
	struct one one;

	start_one(&one, node);
	delivery_conclude(&one.delivery);
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(one.outcome, OUTCOME_QUEUED);
	ck_assert_uint_eq(sender.submitted, 0);
}
END_TEST

START_TEST(those_of_one_device_are_put_one_after_the_other_and_the_older_ones_merged)
{
	struct one ones[4];
	int outcomes[OUTCOME_COUNT] = { 0 };

	provider.interval_ms = 1000;
	sender.refusal = SENDER_UNREACHABLE;
	for (size_t i = 0; i < ARRAY_LEN(ones); i++)
		start_one(&ones[i], node);
	WAIT_UNTIL(deliveries_count() == 0);
	for (size_t i = 0; i < ARRAY_LEN(ones); i++) {
		ck_assert_int_eq(ones[i].settled, 1);
		outcomes[ones[i].outcome]++;
	}
	ck_assert_int_eq(ones[3].outcome, OUTCOME_QUEUED);
	ck_assert_int_eq(outcomes[OUTCOME_QUEUED], 2);
	ck_assert_int_eq(outcomes[OUTCOME_MERGED], 2);
	ck_assert_int_eq(queued(), 1);
}
END_TEST

START_TEST(while_one_is_on_its_way_the_next_of_its_device_waits_for_the_interval)
{
	struct one first, second;

	provider.interval_ms = 5000;
	start_one(&first, node);
	WAIT_UNTIL(sender.job != NULL);
	start_one(&second, node);
	WAIT_UNTIL(second.ended == 1);
	ck_assert_int_eq(second.outcome, OUTCOME_QUEUED);
	ck_assert_uint_eq(queued_delay_ms, 5000);
	judge(VERDICT_SENT, NULL);
	ck_assert_int_eq(first.outcome, OUTCOME_SENT);
	ck_assert_uint_eq(sender.submitted, 1);
}
END_TEST

START_TEST(one_that_fails_does_not_replace_a_newer_one_that_waits)
{
	struct one first, second;

	provider.interval_ms = 5000;
	start_one(&first, node);
	first.delivery.created_ms -= 1000;
	WAIT_UNTIL(sender.job != NULL);
	start_one(&second, node);
	WAIT_UNTIL(second.ended == 1);
	ck_assert_int_eq(second.outcome, OUTCOME_QUEUED);
	judge(VERDICT_TRANSIENT, "InternalServerError");
	WAIT_UNTIL(first.ended == 1);
	ck_assert_int_eq(first.outcome, OUTCOME_MERGED);
	ck_assert_int_eq(queued(), 1);
}
END_TEST

START_TEST(one_whose_device_was_looked_up_again_does_not_replace_a_newer_one_that_waits)
{
	struct one first, second;

	provider.interval_ms = 5000;
	sender.refusal = SENDER_UNREACHABLE;
	start_one(&first, node);
	device_query_cancel(&first.delivery.query);
	look_again(&first.delivery);
	first.delivery.created_ms -= 1000;
	start_one(&second, node);
	WAIT_UNTIL(second.ended == 1);
	ck_assert_int_eq(second.outcome, OUTCOME_QUEUED);
	ck_assert_int_eq(first.ended, 0);
	WAIT_UNTIL(first.ended == 1);
	ck_assert_int_eq(first.outcome, OUTCOME_MERGED);
	ck_assert_int_eq(queued(), 1);
}
END_TEST

/* ---- on the wire ---- */

START_TEST(one_concluded_on_the_wire_is_answered_queued_and_its_verdict_settles_the_entry)
{
	struct one one;

	sender.on_wire = true;
	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	delivery_conclude(&one.delivery);
	ck_assert_int_eq(one.delivery.phase, DELIVERY_SECURING);
	WAIT_UNTIL(one.settled == 1);
	ck_assert_int_eq(one.outcome, OUTCOME_QUEUED);
	ck_assert_int_eq(one.delivery.phase, DELIVERY_LEASED);
	ck_assert_int_eq(queued(), 1);
	judge(VERDICT_SENT, NULL);
	ck_assert_int_eq(one.delivery.phase, DELIVERY_LEAVING);
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(one.settled, 1);
	ck_assert_int_eq(one.last, OUTCOME_SENT);
	ck_assert_int_eq(queued(), 0);
}
END_TEST

START_TEST(a_verdict_that_overtakes_the_queue_waits_for_it)
{
	struct one one;

	sender.on_wire = true;
	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	delivery_conclude(&one.delivery);
	judge(VERDICT_SENT, NULL);
	ck_assert_int_eq(one.delivery.phase, DELIVERY_JUDGED);
	ck_assert_int_eq(one.settled, 0);
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(one.outcome, OUTCOME_SENT);
	ck_assert_int_eq(queued(), 0);
}
END_TEST

/* Its put on the wire fails once at least; the next one is waited for. */
static void secure_without_redis(struct one *one)
{
	sender.on_wire = true;
	start_one(one, node);
	WAIT_UNTIL(sender.job != NULL);
	redis_server_kill(&server);
	delivery_conclude(&one->delivery);
	WAIT_UNTIL(timer_active(&one->delivery.again));
	ck_assert_int_eq(one->delivery.phase, DELIVERY_SECURING);
	ck_assert_int_eq(one->settled, 0);
}

START_TEST(one_on_the_wire_is_put_until_redis_has_it)
{
	struct one one;

	secure_without_redis(&one);
	redis_server_start(&server);
	WAIT_UNTIL(one.settled == 1);
	ck_assert_int_eq(one.outcome, OUTCOME_QUEUED);
	ck_assert_int_eq(one.delivery.phase, DELIVERY_LEASED);
	ck_assert_int_eq(queued(), 1);
	judge(VERDICT_SENT, NULL);
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(queued(), 0);
}
END_TEST

START_TEST(what_is_sent_while_redis_is_away_is_answered_at_once)
{
	struct one one;

	secure_without_redis(&one);
	judge(VERDICT_SENT, NULL);
	ck_assert_int_eq(one.settled, 1);
	ck_assert_int_eq(one.outcome, OUTCOME_SENT);
	ck_assert_int_eq(one.delivery.phase, DELIVERY_LEAVING);
	redis_server_start(&server);
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(queued(), 0);
}
END_TEST

START_TEST(what_fails_on_the_wire_while_redis_is_away_is_queued_when_it_is_back)
{
	struct one one;

	secure_without_redis(&one);
	judge(VERDICT_TRANSIENT, "InternalServerError");
	ck_assert_int_eq(one.delivery.phase, DELIVERY_ENQUEUEING);
	ck_assert_int_eq(one.settled, 0);
	redis_server_start(&server);
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(one.outcome, OUTCOME_QUEUED);
	ck_assert_int_eq(queued(), 1);
}
END_TEST

/* The entry of the put that wasn't answered would otherwise be sent once more. */
START_TEST(what_is_final_settles_an_entry_of_which_redis_said_nothing)
{
	struct one one;

	sender.on_wire = true;
	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	delivery_conclude(&one.delivery);
	WAIT_UNTIL(queued() == 1);
	ck_assert_int_eq(one.delivery.phase, DELIVERY_LEASED);
	one.delivery.in_queue = false;
	one.delivery.half_put = true;
	enter(&one.delivery, DELIVERY_SECURING);
	judge(VERDICT_GONE, "Unregistered");
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(queued(), 0);
}
END_TEST

START_TEST(a_lease_that_ends_takes_it_back_from_the_wire_and_gives_the_entry_back)
{
	struct one one;

	conf.daemon.lease_ms = 200;
	sender.on_wire = true;
	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	delivery_conclude(&one.delivery);
	WAIT_UNTIL(one.ended == 1);
	conf.daemon.lease_ms = 45000;
	ck_assert_uint_eq(sender.cancelled, 1);
	ck_assert_int_eq(one.last, OUTCOME_QUEUED);
	ck_assert_int_eq(queued(), 1);
}
END_TEST

/* ---- abandoned ---- */

START_TEST(what_is_abandoned_before_the_wire_ends_at_once)
{
	struct one looking, sending;

	start_one(&looking, node);
	delivery_abandon(&looking.delivery);
	ck_assert_int_eq(looking.ended, 1);
	ck_assert_str_eq(looking.reason, "deadline");
	start_one(&sending, node);
	WAIT_UNTIL(sender.job != NULL);
	delivery_abandon(&sending.delivery);
	ck_assert_int_eq(sending.ended, 1);
	ck_assert_int_eq(sending.outcome, OUTCOME_UNAVAILABLE);
	ck_assert_ptr_null(sender.job);
}
END_TEST

START_TEST(what_is_abandoned_on_the_wire_gets_its_verdict_and_is_not_queued)
{
	struct one one;

	sender.on_wire = true;
	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	delivery_abandon(&one.delivery);
	ck_assert_int_eq(one.ended, 0);
	judge(VERDICT_TRANSIENT, "InternalServerError");
	ck_assert_int_eq(one.ended, 1);
	ck_assert_int_eq(one.last, OUTCOME_UNAVAILABLE);
	ck_assert_int_eq(queued(), 0);
}
END_TEST

START_TEST(one_that_waits_to_be_put_and_is_abandoned_ends_with_its_followers)
{
	struct one ones[3];

	provider.interval_ms = 1000;
	sender.refusal = SENDER_UNREACHABLE;
	for (size_t i = 0; i < ARRAY_LEN(ones); i++)
		start_one(&ones[i], node);
	WAIT_UNTIL(ones[2].delivery.phase == DELIVERY_WAITING);
	delivery_abandon(&ones[2].delivery);
	ck_assert_int_eq(ones[1].outcome, OUTCOME_UNAVAILABLE);
	ck_assert_int_eq(ones[2].outcome, OUTCOME_UNAVAILABLE);
	WAIT_UNTIL(deliveries_count() == 0);
	ck_assert_int_eq(ones[0].outcome, OUTCOME_QUEUED);
}
END_TEST

/* ---- from the queue ---- */

static void queue_one(void)
{
	struct one one;

	sender.refusal = SENDER_UNREACHABLE;
	start_one(&one, node);
	WAIT_UNTIL(one.ended == 1);
	sender.refusal = SENDER_TAKES;
	json_object_set_new(item, "node", json_string(node));
}

START_TEST(one_from_the_queue_is_sent_and_its_entry_settled)
{
	json_object_set_new(item, "node", json_string(node));
	queue_one();
	resume_next();
	WAIT_UNTIL(sender.job != NULL);
	ck_assert_int_eq(taken.one.delivery.phase, DELIVERY_LEASED);
	judge(VERDICT_SENT, NULL);
	WAIT_UNTIL(taken.one.ended == 1);
	ck_assert_int_eq(taken.one.last, OUTCOME_SENT);
	ck_assert_int_eq(queued(), 0);
}
END_TEST

START_TEST(one_from_the_queue_that_the_provider_refuses_stays_until_it_expires)
{
	json_object_set_new(item, "node", json_string(node));
	queue_one();
	resume_next();
	WAIT_UNTIL(sender.job != NULL);
	judge(VERDICT_REJECTED, "BadTopic");
	WAIT_UNTIL(taken.one.ended == 1);
	ck_assert_int_eq(taken.one.last, OUTCOME_QUEUED);
	ck_assert_uint_ge(queued_delay_ms, REFUSED_LEAST_MS / 2);
	ck_assert_int_eq(queued(), 1);
}
END_TEST

START_TEST(a_credential_fault_queues_nothing_new_and_loses_nothing_queued)
{
	struct one one;

	json_object_set_new(item, "node", json_string(node));
	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	judge(VERDICT_CREDENTIAL, "InvalidProviderToken");
	ck_assert_int_eq(one.ended, 1);
	ck_assert_int_eq(one.outcome, OUTCOME_UNAVAILABLE);
	ck_assert_int_eq(queued(), 0);
	queue_one();
	resume_next();
	WAIT_UNTIL(sender.job != NULL);
	judge(VERDICT_CREDENTIAL, "InvalidProviderToken");
	WAIT_UNTIL(taken.one.ended == 1);
	ck_assert_int_eq(taken.one.last, OUTCOME_QUEUED);
	ck_assert_int_eq(queued(), 1);
}
END_TEST

/* ---- retries ---- */

static void fail_next(struct one *one)
{
	WAIT_UNTIL(sender.job != NULL);
	judge(VERDICT_TRANSIENT, "InternalServerError");
	WAIT_UNTIL(one->ended == 1);
}

START_TEST(the_delays_after_failures_begin_at_a_second_and_double)
{
	struct one one;

	json_object_set_new(item, "node", json_string(node));
	start_one(&one, node);
	fail_next(&one);
	ck_assert_uint_ge(queued_delay_ms, 500);
	ck_assert_uint_le(queued_delay_ms, 1000);
	resume_due();
	fail_next(&taken.one);
	ck_assert_uint_ge(queued_delay_ms, 1000);
	ck_assert_uint_le(queued_delay_ms, 2000);
}
END_TEST

START_TEST(the_delay_that_the_provider_asks_for_is_kept)
{
	struct one one;

	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	sender.job->judgement.retry_after_ms = 7000;
	fail_next(&one);
	ck_assert_uint_eq(queued_delay_ms, 7000);
}
END_TEST

START_TEST(only_what_was_tried_counts_as_an_attempt)
{
	json_object_set_new(item, "node", json_string(node));
	queue_one();
	sender.refusal = SENDER_UNREACHABLE;
	resume_due();
	WAIT_UNTIL(taken.one.ended == 1);
	sender.refusal = SENDER_TAKES;
	resume_due();
	ck_assert_uint_eq(taken.one.delivery.attempts, 0);
	fail_next(&taken.one);
	resume_due();
	ck_assert_uint_eq(taken.one.delivery.attempts, 1);
}
END_TEST

START_TEST(a_silent_provider_has_it_for_a_shorter_time_than_the_lease)
{
	uint64_t lease_ns = UINT64_C(45000) * 1000000;
	struct one one;

	sender.on_wire = true;
	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	delivery_conclude(&one.delivery);
	WAIT_UNTIL(one.delivery.phase == DELIVERY_LEASED);
	ck_assert(timer_active(&one.delivery.lease));
	ck_assert_uint_lt(one.delivery.lease.due_ns, loop_now_ns() + lease_ns * 4 / 5);
	judge(VERDICT_SENT, NULL);
	WAIT_UNTIL(one.ended == 1);
}
END_TEST

START_TEST(what_redis_has_not_confirmed_is_never_answered_queued)
{
	struct one one;

	sender.on_wire = true;
	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	delivery_conclude(&one.delivery);
	queue_cancel(&one.delivery.call);
	one.delivery.deadline_ms = 0; /* so that Redis isn't asked again */
	on_queue_secured(&one.delivery.call, QUEUE_UNAVAILABLE);
	ck_assert_int_eq(one.outcome, OUTCOME_UNAVAILABLE);
	ck_assert_str_eq(one.reason, "storage");
	ck_assert_int_eq(one.delivery.phase, DELIVERY_LEASED);
	fail_next(&one);
	ck_assert_int_eq(one.last, OUTCOME_UNAVAILABLE);
	ck_assert_int_eq(one.settled, 1);
}
END_TEST

/* ---- tokens ---- */

START_TEST(a_dead_token_takes_its_device_away)
{
	struct one one, next;

	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	judge(VERDICT_GONE, "Unregistered");
	ck_assert_int_eq(one.delivery.phase, DELIVERY_REMOVING);
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(one.outcome, OUTCOME_GONE);
	start_one(&next, node);
	WAIT_UNTIL(next.ended == 1);
	ck_assert_int_eq(next.outcome, OUTCOME_GONE);
	ck_assert_uint_eq(sender.submitted, 1);
}
END_TEST

START_TEST(a_suspect_token_is_unavailable_and_the_device_stays)
{
	struct one one, next;

	sender.trusted = true;
	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	judge(VERDICT_SUSPECT, "BadDeviceToken");
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(one.outcome, OUTCOME_UNAVAILABLE);
	ck_assert_str_eq(one.reason, "BadDeviceToken");
	start_one(&next, node);
	WAIT_UNTIL(sender.job != NULL);
	judge(VERDICT_SENT, NULL);
}
END_TEST

static enum outcome doubt(void)
{
	struct one one;

	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL || one.ended == 1);
	if (sender.job != NULL)
		judge(VERDICT_SUSPECT, "BadDeviceToken");
	WAIT_UNTIL(one.ended == 1);
	return one.outcome;
}

START_TEST(a_token_that_is_suspect_for_the_third_time_is_dead)
{
	sender.trusted = true;
	ck_assert_int_eq(doubt(), OUTCOME_UNAVAILABLE);
	ck_assert_int_eq(doubt(), OUTCOME_UNAVAILABLE);
	ck_assert_int_eq(doubt(), OUTCOME_GONE);
	ck_assert_int_eq(doubt(), OUTCOME_GONE);
	ck_assert_uint_eq(sender.submitted, 3);
}
END_TEST

START_TEST(while_nothing_else_arrives_no_suspect_token_is_dead)
{
	for (int times = 0; times < 2 * SUSPECT_DAYS; times++)
		ck_assert_int_eq(doubt(), OUTCOME_UNAVAILABLE);
	ck_assert_uint_eq(sender.submitted, 2 * SUSPECT_DAYS);
}
END_TEST

START_TEST(a_token_that_is_newer_than_the_providers_word_stays)
{
	struct one one, next;

	start_one(&one, node);
	WAIT_UNTIL(sender.job != NULL);
	sender.job->judgement.timestamp_ms = 1;
	judge(VERDICT_GONE, "Unregistered");
	WAIT_UNTIL(one.ended == 1);
	ck_assert_int_eq(one.outcome, OUTCOME_UNAVAILABLE);
	start_one(&next, node);
	WAIT_UNTIL(sender.job != NULL);
	judge(VERDICT_SENT, NULL);
}
END_TEST

static void call_phone(struct one *one)
{
	register_device("ccdd");
	start_one(one, node);
	one->delivery.notification.payload = "p";
	one->delivery.notification.voip = true;
	WAIT_UNTIL(sender.job != NULL);
	ck_assert_int_eq(sender.job->priority, PRIORITY_VOIP);
}

START_TEST(a_call_whose_second_token_is_dead_or_suspect_goes_to_the_first_as_an_alert)
{
	static const enum verdict verdicts[] = { VERDICT_GONE, VERDICT_SUSPECT };

	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
		struct one one;

		call_phone(&one);
		/* The job was to be paced, but a call isn't. */
		sender.refusal = SENDER_PACED;
		judge(verdicts[i], "BadDeviceToken");
		WAIT_UNTIL(sender.job != NULL);
		sender.refusal = SENDER_TAKES;
		ck_assert_int_eq(sender.job->priority, PRIORITY_HIGH);
		ck_assert_ptr_null(sender.job->device.second_token);
		judge(VERDICT_SENT, NULL);
		WAIT_UNTIL(one.ended == 1);
		ck_assert_int_eq(one.outcome, OUTCOME_SENT);
	}
}
END_TEST

START_TEST(a_call_is_of_use_for_thirty_seconds)
{
	struct one one;

	call_phone(&one);
	ck_assert_int_eq(one.delivery.expires_ms - one.delivery.created_ms, 30000);
	judge(VERDICT_SENT, NULL);
}
END_TEST

/* ---- the end of the process ---- */

static int idle_calls;

static void on_idle(void)
{
	idle_calls++;
}

START_TEST(draining_queues_what_waits_at_once_and_what_is_on_the_wire_after_its_time)
{
	struct one waiting, wire;

	idle_calls = 0;
	start_one(&waiting, node);
	WAIT_UNTIL(sender.job != NULL);
	deliveries_drain(on_idle);
	WAIT_UNTIL(waiting.ended == 1);
	ck_assert_int_eq(waiting.outcome, OUTCOME_QUEUED);
	WAIT_UNTIL(idle_calls > 0);
	delivery_module.stop();
	ck_assert_int_eq(delivery_module.start(&conf), 0);
	sender.on_wire = true;
	start_one(&wire, node);
	WAIT_UNTIL(sender.job != NULL);
	wire.delivery.job.connection = (struct connection *)&wire;
	deliveries_drain(on_idle);
	ck_assert_int_eq(wire.delivery.phase, DELIVERY_SENDING);
	WAIT_UNTIL(wire.ended == 1);
	ck_assert_uint_eq(sender.cancelled, 1);
	ck_assert_int_eq(wire.outcome, OUTCOME_QUEUED);
}
END_TEST

/* One in each phase that can be held. */
START_TEST(stopping_ends_each_phase_once)
{
	struct one looking, waiting[3], sending, securing;

	start_one(&sending, node);
	WAIT_UNTIL(sender.job != NULL);
	sender.on_wire = true;
	start_one(&securing, node);
	WAIT_UNTIL(sender.submitted == 2);
	delivery_conclude(&securing.delivery);
	ck_assert_int_eq(securing.delivery.phase, DELIVERY_SECURING);
	provider.interval_ms = 1000;
	sender.refusal = SENDER_UNREACHABLE;
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
		start_one(&waiting[i], node);
	WAIT_UNTIL(waiting[2].delivery.phase == DELIVERY_WAITING);
	start_one(&looking, node);
	delivery_module.stop();
	ck_assert_int_eq(looking.ended + sending.ended + securing.ended, 3);
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
		ck_assert_int_eq(waiting[i].ended, 1);
	ck_assert_str_eq(looking.reason, "stopping");
	ck_assert_uint_eq(deliveries_count(), 0);
	ck_assert_int_eq(delivery_module.start(&conf), 0);
}
END_TEST

static int run_new(void)
{
	const TTest *const tests[] = {
		what_the_provider_accepts_is_sent_and_leaves_nothing_in_the_queue,
		an_unknown_node_a_wrong_component_and_a_wrong_domain_are_gone_alike,
		an_alias_is_left_to_the_caller_who_published_to_it,
		a_device_keeps_its_alias_until_its_own_node_is_published_to,
		a_refused_credential_queues_nothing_new,
		what_cannot_be_sent_now_is_queued_and_redeliver_is_told,
		a_transient_verdict_queues_with_a_delay,
		of_failures_without_end_ten_lines_a_second_are_written,
		what_would_be_due_after_its_expiry_is_unavailable,
		one_that_is_concluded_before_the_wire_is_taken_back_and_queued,
		one_that_is_concluded_while_its_device_is_looked_up_is_queued,
		those_of_one_device_are_put_one_after_the_other_and_the_older_ones_merged,
		while_one_is_on_its_way_the_next_of_its_device_waits_for_the_interval,
		one_that_fails_does_not_replace_a_newer_one_that_waits,
		one_whose_device_was_looked_up_again_does_not_replace_a_newer_one_that_waits,
		one_concluded_on_the_wire_is_answered_queued_and_its_verdict_settles_the_entry,
		a_verdict_that_overtakes_the_queue_waits_for_it,
		one_on_the_wire_is_put_until_redis_has_it,
		what_is_sent_while_redis_is_away_is_answered_at_once,
		what_fails_on_the_wire_while_redis_is_away_is_queued_when_it_is_back,
		what_is_final_settles_an_entry_of_which_redis_said_nothing,
		a_lease_that_ends_takes_it_back_from_the_wire_and_gives_the_entry_back,
		what_is_abandoned_before_the_wire_ends_at_once,
		what_is_abandoned_on_the_wire_gets_its_verdict_and_is_not_queued,
		one_that_waits_to_be_put_and_is_abandoned_ends_with_its_followers,
	};

	return unit_run("delivery", tests, ARRAY_LEN(tests), setup, teardown);
}

static int run_queued(void)
{
	const TTest *const tests[] = {
		one_from_the_queue_is_sent_and_its_entry_settled,
		one_from_the_queue_that_the_provider_refuses_stays_until_it_expires,
		a_credential_fault_queues_nothing_new_and_loses_nothing_queued,
		the_delays_after_failures_begin_at_a_second_and_double,
		the_delay_that_the_provider_asks_for_is_kept,
		only_what_was_tried_counts_as_an_attempt,
		a_silent_provider_has_it_for_a_shorter_time_than_the_lease,
		what_redis_has_not_confirmed_is_never_answered_queued,
		a_dead_token_takes_its_device_away,
		a_suspect_token_is_unavailable_and_the_device_stays,
		a_token_that_is_suspect_for_the_third_time_is_dead,
		while_nothing_else_arrives_no_suspect_token_is_dead,
		a_token_that_is_newer_than_the_providers_word_stays,
		a_call_whose_second_token_is_dead_or_suspect_goes_to_the_first_as_an_alert,
		a_call_is_of_use_for_thirty_seconds,
		draining_queues_what_waits_at_once_and_what_is_on_the_wire_after_its_time,
		stopping_ends_each_phase_once,
	};

	return unit_run("delivery", tests, ARRAY_LEN(tests), setup, teardown);
}

int main(void)
{
	int first = run_new(), second = run_queued();

	return first == EXIT_SUCCESS ? second : first;
}
