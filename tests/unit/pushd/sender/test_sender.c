#include "pushd/sender/sender.c"

#include "pushd/credential/sealed_store.h"
#include "pushd/db.h"
#include "tests/unit/redis_server.h"
#include "tests/unit/toy_kind.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

static char secret_file[] = "/tmp/og-unit-XXXXXX";
static struct conf *conf;
static struct sender *sender;
static struct toy_server server, calls;
static struct notification notification;
static struct token_trust trust;
static struct job job;
static char token[100], second[100];
static unsigned done;

static void on_done(struct job *ended)
{
	done++;
}

static void open_sender(const char *more)
{
	char *why = NULL;

	conf = toy_configure(secret_file, more);
	sender = sender_new(&toy_kind, conf_provider(conf, 0), 2, &why);
	ck_assert_msg(sender != NULL, "%s", why);
}

static void setup(void)
{
	loop_init();
	log_init("unit", LOG_ERROR);
	toy_add();
	toy_write_file(secret_file, "toy:hush");
	toy_start(&server);
	toy_start(&calls);
	sprintf(token, "%s/first", server.origin);
	sprintf(second, "%s/second", calls.origin);
	notification = (struct notification){ .payload = "QUJD", .iv = "aXY=", .voip = true };
	job = (struct job){ .done = on_done,
		            .notification = &notification,
		            .device = { .node = "n", .token = token, .second_token = second },
		            .priority = PRIORITY_HIGH,
		            .deadline_ms = loop_now_ms() + 30000 };
}

static void teardown(void)
{
	sender_free(sender);
	toy_stop(&server);
	toy_stop(&calls);
	if (conf != NULL)
		config_free(&conf_table, conf);
	unlink(secret_file);
	loop_release();
}

static void send_it(void)
{
	done = 0;
	ck_assert(sender_submit(sender, &job));
	WAIT_UNTIL(done == 1);
}

/* ---- whether a provider's word against a token is believed ---- */

static void send_many(unsigned times, uint64_t now_ms)
{
	for (unsigned i = 0; i < times; i++)
		trust_sent(&trust, now_ms);
}

START_TEST(nobody_is_believed_before_anything_was_sent)
{
	ck_assert(!trusts(&trust, 1000));
	trust_fault(&trust);
	ck_assert(!trusts(&trust, 1000));
}
END_TEST

START_TEST(one_fault_in_ten_is_believed_and_the_next_is_not)
{
	send_many(8, 1000);
	trust_fault(&trust);
	ck_assert_msg(!trusts(&trust, 1000), "one of nine");
	send_many(1, 1000);
	ck_assert_msg(trusts(&trust, 1000), "one of ten");
	trust_fault(&trust);
	ck_assert_msg(!trusts(&trust, 1000), "two of eleven");
}
END_TEST

START_TEST(a_mass_of_faults_is_doubted_until_enough_arrives_again)
{
	send_many(10000, 1000);
	for (unsigned i = 0; i < 20; i++)
		trust_fault(&trust);
	ck_assert(trusts(&trust, 1000));
	trust_fault(&trust);
	ck_assert_msg(!trusts(&trust, 1000), "only the last %d count", TRUST_REMEMBERED);
	send_many(TRUST_REMEMBERED - 21, 2000);
	ck_assert(!trusts(&trust, 2000));
	send_many(1, 2000);
	ck_assert_msg(trusts(&trust, 2000), "the oldest fault is forgotten");
	send_many(TRUST_REMEMBERED, 2000);
	ck_assert_uint_eq(trust.faults, 0);
}
END_TEST

START_TEST(a_success_counts_for_an_hour)
{
	send_many(100, 1000);
	ck_assert(trusts(&trust, 1000 + TRUST_LATELY_MS));
	ck_assert(!trusts(&trust, 1001 + TRUST_LATELY_MS));
	trust_sent(&trust, 2000 + TRUST_LATELY_MS);
	ck_assert(trusts(&trust, 2000 + TRUST_LATELY_MS));
}
END_TEST

/* ---- sending ---- */

START_TEST(a_call_whose_token_is_bad_is_suspect_as_any_other)
{
	open_sender("");
	calls.statuses[0] = 400;
	job.priority = PRIORITY_VOIP;
	send_it();
	ck_assert_int_eq(job.judgement.verdict, VERDICT_SUSPECT);
	ck_assert_msg(job.priority == PRIORITY_VOIP,
	              "so that its delivery knows which token it was");
	ck_assert_uint_eq(calls.requests, 1);
	ck_assert_uint_eq(server.requests, 0);
	ck_assert_uint_eq(sender->trust.faults, 1);
}
END_TEST

START_TEST(a_call_that_does_not_fit_goes_as_an_alert_to_the_first_token)
{
	open_sender("");
	toy_too_large = true;
	job.priority = PRIORITY_VOIP;
	send_it();
	ck_assert_int_eq(job.judgement.verdict, VERDICT_SENT);
	ck_assert_int_eq(job.priority, PRIORITY_HIGH);
	ck_assert_uint_eq(calls.requests, 0);
	ck_assert_str_eq(server.paths[0], "first");
}
END_TEST

START_TEST(a_token_that_is_bad_here_is_tried_in_the_other_environment_and_that_is_kept)
{
	open_sender("toy-environments = both\n");
	server.statuses[0] = 400;
	send_it();
	ck_assert_int_eq(job.judgement.verdict, VERDICT_SENT);
	ck_assert_int_eq(job.environment, ENVIRONMENT_SANDBOX);
	ck_assert_uint_eq(server.requests, 2);
	ck_assert_uint_eq(sender->endpoint_count, 2);
	ck_assert_uint_eq(sender->trust.faults, 0);
}
END_TEST

START_TEST(a_token_that_is_bad_in_both_environments_is_suspect)
{
	open_sender("toy-environments = both\n");
	server.statuses[0] = server.statuses[1] = 400;
	send_it();
	ck_assert_int_eq(job.judgement.verdict, VERDICT_SUSPECT);
	ck_assert_int_eq(job.environment, ENVIRONMENT_UNKNOWN);
	ck_assert_uint_eq(sender->trust.faults, 1);
}
END_TEST

START_TEST(an_environment_that_refuses_the_credential_says_nothing_of_the_token)
{
	open_sender("toy-environments = both\n");
	server.statuses[0] = 400;
	server.statuses[1] = 403;
	send_it();
	ck_assert_int_eq(job.judgement.verdict, VERDICT_SUSPECT);
	ck_assert_uint_eq(job.judgement.status, 400);
}
END_TEST

/* ---- calls with a credential of their own ---- */

static char calls_file[] = "/tmp/og-unit-XXXXXX";

static bool fixed_origin(const struct conf_provider *provider, enum environment environment,
                         const char *to, char origin[PROVIDER_ORIGIN_MAX])
{
	snprintf(origin, PROVIDER_ORIGIN_MAX, "%s", server.origin);
	return true;
}

static void describe_calls(const struct conf_provider *provider, struct credential_wanted *wanted)
{
	toy_credential(provider, wanted);
	wanted->file = calls_file;
	wanted->for_calls = true;
}

/* A sender that sends to one origin, calls with another secret. */
static void open_with_calls(const char *more)
{
	static struct provider_kind kind;
	char *why = NULL;

	kind = toy_kind;
	kind.origin = fixed_origin;
	kind.call_credential = describe_calls;
	toy_write_file(calls_file, "toy:ring");
	conf = toy_configure(secret_file, more);
	sender = sender_new(&kind, conf_provider(conf, 0), 2, &why);
	ck_assert_msg(sender != NULL, "%s", why);
	unlink(calls_file);
}

static void send_fresh(const struct job *fresh, enum priority priority)
{
	job = *fresh;
	job.priority = priority;
	send_it();
	ck_assert_int_eq(job.judgement.verdict, VERDICT_SENT);
}

static void check_signed(const struct toy_server *at, unsigned i, const char *secret)
{
	ck_assert_uint_gt(at->requests, i);
	ck_assert_msg(strstr(at->bearers[i], secret) != NULL, "%s", at->bearers[i]);
}

START_TEST(calls_alone_go_by_the_credential_for_calls)
{
	const struct job fresh = job;

	open_with_calls("");
	send_fresh(&fresh, PRIORITY_HIGH);
	ck_assert_uint_eq(sender->endpoint_count, 1);
	send_fresh(&fresh, PRIORITY_VOIP);
	send_fresh(&fresh, PRIORITY_LOW);
	send_fresh(&fresh, PRIORITY_VOIP);
	ck_assert_uint_eq(sender->endpoint_count, 2);
	check_signed(&server, 0, "hush-");
	check_signed(&server, 1, "hush-");
	check_signed(&calls, 0, "ring-");
	check_signed(&calls, 1, "ring-");
}
END_TEST

START_TEST(a_call_is_tried_in_the_other_environment_with_the_same_credential)
{
	const struct job fresh = job;

	open_with_calls("toy-environments = both\n");
	calls.statuses[0] = 400;
	send_fresh(&fresh, PRIORITY_VOIP);
	ck_assert_int_eq(job.environment, ENVIRONMENT_SANDBOX);
	ck_assert_uint_eq(calls.requests, 2);
	check_signed(&calls, 1, "ring-");
	ck_assert_ptr_eq(job.endpoint, sender->other_calls);
}
END_TEST

START_TEST(a_call_whose_own_credential_is_refused_goes_as_an_alert_and_the_rest_as_ever)
{
	const struct job fresh = job;

	open_with_calls("");
	calls.statuses[0] = calls.statuses[1] = 403;
	for (unsigned i = 0; i < 2; i++) { /* the second one mostly finds the breaker open */
		send_fresh(&fresh, PRIORITY_VOIP);
		ck_assert_int_eq(job.priority, PRIORITY_HIGH);
		check_signed(&server, i, "hush-");
	}
	ck_assert_str_eq(sender_state(sender, NULL), "ready");
	ck_assert_int_eq(sender_refusal(sender), SENDER_TAKES);
}
END_TEST

START_TEST(no_more_wait_than_the_queue_holds)
{
	struct job more[2] = { job, job };

	open_sender("");
	ck_assert(sender_submit(sender, &job));
	ck_assert(sender_submit(sender, &more[0]));
	ck_assert(!sender_submit(sender, &more[1]));
	ck_assert_uint_eq(sender_queued(sender), 2);
	ck_assert(sender_abandon(&job));
	ck_assert(sender_submit(sender, &more[1]));
	WAIT_UNTIL(done == 2);
}
END_TEST

START_TEST(what_is_on_the_wire_when_it_is_abandoned_still_comes_to_its_verdict)
{
	open_sender("");
	ck_assert(sender_submit(sender, &job));
	WAIT_UNTIL(job.connection != NULL);
	ck_assert(!sender_abandon(&job));
	ck_assert_ptr_null(job.notification); /* so it isn't tried again */
	WAIT_UNTIL(done == 1);
	ck_assert_int_eq(job.judgement.verdict, VERDICT_SENT);
}
END_TEST

START_TEST(an_endpoint_that_has_nothing_to_do_makes_room_for_another)
{
	char origin[PROVIDER_ORIGIN_MAX];

	open_sender("");
	send_it();
	for (unsigned i = 1; i < ENDPOINTS_MAX; i++) {
		sprintf(origin, "http://host-%u.example", i);
		ck_assert_ptr_nonnull(endpoint_at(sender, ENVIRONMENT_PRODUCTION, origin));
	}
	ck_assert_uint_eq(sender->endpoint_count, ENDPOINTS_MAX);
	send_it(); /* used last, so it stays */
	ck_assert_ptr_nonnull(endpoint_at(sender, ENVIRONMENT_PRODUCTION, "http://new.example"));
	ck_assert_uint_eq(sender->endpoint_count, ENDPOINTS_MAX);
	ck_assert_uint_eq(server.requests, 2);
	ck_assert_str_eq(server.bearers[0], server.bearers[1]);
	list_for_each (link, &sender->endpoints)
		container_of(link, struct endpoint, link)->jobs++;
	ck_assert_ptr_null(endpoint_at(sender, ENVIRONMENT_PRODUCTION, "http://newer.example"));
	list_for_each (link, &sender->endpoints)
		container_of(link, struct endpoint, link)->jobs--;
}
END_TEST

START_TEST(a_sender_without_a_credential_is_not_made_and_one_with_a_file_has_it)
{
	char *why = NULL;

	open_sender("");
	ck_assert(sender_has_credential(sender));
	ck_assert_str_eq(sender_state(sender, NULL), "ready");
	sender_free(sender);
	unlink(secret_file);
	sender = sender_new(&toy_kind, conf_provider(conf, 0), 2, &why);
	ck_assert_ptr_null(sender);
	ck_assert_ptr_nonnull(strstr(why, "No such file"));
	free(why);
}
END_TEST

START_TEST(a_credential_counts_as_present_until_redis_says_that_none_is_stored)
{
	char key_file[] = "/tmp/og-unit-XXXXXX", *why = NULL;
	struct redis_server redis;
	struct conf stored = { .daemon.redis = redis.url,
		               .daemon.redis_prefix = (char *)"og:",
		               .daemon.master_key_file = key_file };

	conf = toy_configure("/nowhere", "");
	toy_write_file(key_file,
	               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n");
	redis_server_init(&redis);
	ck_assert_int_eq(db_module.start(&stored), 0);
	ck_assert_int_eq(sealed_store_module.start(&stored), 0);
	sender = sender_new(&toy_kind, conf_provider(conf, 0), 2, &why);
	ck_assert_msg(sender != NULL, "%s", why);
	ck_assert(sender_has_credential(sender));
	redis_server_start(&redis);
	WAIT_UNTIL(!sender_has_credential(sender));
	sender_free(sender);
	sender = NULL;
	sealed_store_module.stop();
	db_module.stop();
	redis_server_release(&redis);
	unlink(key_file);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		nobody_is_believed_before_anything_was_sent,
		one_fault_in_ten_is_believed_and_the_next_is_not,
		a_mass_of_faults_is_doubted_until_enough_arrives_again,
		a_success_counts_for_an_hour,
		a_call_whose_token_is_bad_is_suspect_as_any_other,
		a_call_that_does_not_fit_goes_as_an_alert_to_the_first_token,
		a_token_that_is_bad_here_is_tried_in_the_other_environment_and_that_is_kept,
		a_token_that_is_bad_in_both_environments_is_suspect,
		an_environment_that_refuses_the_credential_says_nothing_of_the_token,
		calls_alone_go_by_the_credential_for_calls,
		a_call_is_tried_in_the_other_environment_with_the_same_credential,
		a_call_whose_own_credential_is_refused_goes_as_an_alert_and_the_rest_as_ever,
		no_more_wait_than_the_queue_holds,
		what_is_on_the_wire_when_it_is_abandoned_still_comes_to_its_verdict,
		an_endpoint_that_has_nothing_to_do_makes_room_for_another,
		a_sender_without_a_credential_is_not_made_and_one_with_a_file_has_it,
		a_credential_counts_as_present_until_redis_says_that_none_is_stored,
	};

	return unit_run("sender", tests, ARRAY_LEN(tests), setup, teardown);
}
