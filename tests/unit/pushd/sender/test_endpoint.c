#include "pushd/sender/endpoint.c"

#include "pushd/provider/apns.h"
#include "pushd/provider/fcm.h"
#include "tests/unit/toy_kind.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

static char secret_file[] = "/tmp/og-unit-XXXXXX";
static struct conf *conf;
static struct credential *credential;
static struct toy_server server;
static struct endpoint endpoint;
static struct pacer pacer;
static struct notification notification;
static char token[100];
static struct job jobs[6];
static unsigned done;

static void on_changed(struct credential_watch *told)
{
	endpoint_renew(&endpoint);
}

static struct credential_watch watch = { .changed = on_changed };

static void on_pace_passed(struct pacer *passed)
{
	endpoint_wake(&endpoint);
}

static void on_job_done(struct job *job)
{
	done++;
}

static void setup(void)
{
	char *why = NULL;

	loop_init();
	log_init("unit", LOG_ERROR);
	toy_add();
	toy_write_file(secret_file, "toy:hush");
	conf = toy_configure(secret_file, "");
	toy_start(&server);
	sprintf(token, "%s/device", server.origin);
	notification = (struct notification){ .summary = true, .count = 1 };
	pacer.passed = on_pace_passed;
	pacer_init(&pacer, 0);
	endpoint = (struct endpoint){
		.done = on_job_done,
		.provider = conf_provider(conf, 0),
		.kind = &toy_kind,
		.pacer = &pacer,
		.environment = ENVIRONMENT_PRODUCTION,
	};
	snprintf(endpoint.origin, sizeof(endpoint.origin), "%s", server.origin);
	endpoint.credential = credential_open(endpoint.provider, toy_kind.credential, &watch, &why);
	ck_assert_msg(endpoint.credential != NULL, "%s", why);
	credential = endpoint.credential;
	endpoint_start(&endpoint);
}

static void teardown(void)
{
	endpoint_stop(&endpoint);
	pacer_release(&pacer);
	credential_close(credential);
	toy_stop(&server);
	config_free(&conf_table, conf);
	unlink(secret_file);
	loop_release();
}

static struct job *submit(size_t index)
{
	jobs[index] = (struct job){ .notification = &notification,
		                    .device = { .node = "n", .token = token },
		                    .priority = PRIORITY_HIGH,
		                    .deadline_ms = loop_now_ms() + 30000,
		                    .id = "id" };
	endpoint_submit(&endpoint, &jobs[index]);
	return &jobs[index];
}

/* ---- the queue ---- */

static struct job_queue queue;
static struct job queued[6];

static void put(void (*how)(struct job_queue *, struct job *), size_t index, enum priority priority)
{
	queued[index].priority = priority;
	how(&queue, &queued[index]);
}

static void expect_next(size_t index)
{
	struct job *first = queue_first(&queue);

	ck_assert_ptr_eq(first, &queued[index]);
	queue_remove(&queue, first);
}

START_TEST(calls_go_before_high_before_low_and_equals_in_their_order)
{
	queue_init(&queue);
	put(queue_add, 0, PRIORITY_LOW);
	put(queue_add, 1, PRIORITY_HIGH);
	put(queue_add, 2, PRIORITY_VOIP);
	put(queue_add, 3, PRIORITY_HIGH);
	put(queue_add, 4, PRIORITY_VOIP);
	put(queue_add, 5, PRIORITY_LOW);
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
	queue_init(&queue);
	put(queue_add, 0, PRIORITY_HIGH);
	put(queue_add, 1, PRIORITY_HIGH);
	expect_next(0);
	put(queue_add, 2, PRIORITY_VOIP);
	put(queue_return, 0, PRIORITY_HIGH);
	ck_assert_uint_eq(queue.count, 3);
	expect_next(2);
	expect_next(0);
	expect_next(1);
	ck_assert_int_eq(length, 0);
}
END_TEST

START_TEST(it_counts_what_is_in_it_once)
{
	queue_init(&queue);
	put(queue_add, 0, PRIORITY_LOW);
	put(queue_add, 1, PRIORITY_HIGH);
	ck_assert_uint_eq(queue.count, 2);
	ck_assert_int_eq(length, 2);
	queue_remove(&queue, &queued[0]);
	queue_remove(&queue, &queued[0]);
	ck_assert_uint_eq(queue.count, 1);
	ck_assert_int_eq(length, 1);
}
END_TEST

/* ---- jobs ---- */

START_TEST(the_wait_grows_with_the_attempts_and_is_never_less_than_asked_for)
{
	struct job job = { .attempts = 1 };

	ck_assert_uint_le(retry_delay_ms(&job), RETRY_LEAST_MS);
	job.attempts = 10;
	ck_assert_uint_ge(retry_delay_ms(&job), RETRY_MOST_MS / 2);
	ck_assert_uint_le(retry_delay_ms(&job), RETRY_MOST_MS);
	job.judgement.retry_after_ms = 60000;
	ck_assert_uint_eq(retry_delay_ms(&job), 60000);
}
END_TEST

static const char *header(const struct job *job, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; job->request.headers[i] != NULL; i++)
		if (strncmp(job->request.headers[i], name, len) == 0 &&
		    job->request.headers[i][len] == ':')
			return job->request.headers[i] + len + 2;
	return NULL;
}

static void build_for(struct job *job, const struct provider_kind *kind, const void *own)
{
	struct endpoint other = { .kind = kind,
		                  .settings = { .endpoint = "https://provider.example",
		                                .own = own,
		                                .expiry_s = 86400 } };

	job->endpoint = &other;
	ck_assert_int_eq(build(job, "BEARER"), 0);
}

static bool body_has(const struct job *job, const char *text)
{
	return memmem(job->request.body, job->request.body_len, text, strlen(text)) != NULL;
}

START_TEST(each_attempt_expires_when_the_first_would_have)
{
	static char topic[] = "org.example.chat", project[] = "proj-1";
	static const struct apns_conf apns = { .topic = topic };
	static const struct fcm_conf fcm = { .project_id = project };
	struct job job = { .notification = &notification,
		           .device = { .node = "n", .token = "aabb" },
		           .priority = PRIORITY_HIGH,
		           .id = "id",
		           .expires_s = loop_wall_ms() / 1000 + 100 };
	char expected[32];
	int left_s = 100;

	snprintf(expected, sizeof(expected), "%lld", (long long)job.expires_s);
	build_for(&job, &apns_kind, &apns);
	ck_assert_str_eq(header(&job, "apns-expiration"), expected);
	build_for(&job, &fcm_kind, &fcm);
	do
		snprintf(expected, sizeof(expected), "\"ttl\":\"%ds\"", left_s--);
	while (!body_has(&job, expected) && left_s > 40);
	ck_assert_msg(left_s > 40, "what is left of 100 seconds, if a minute passed meanwhile");
	job.expires_s = 0;
	build_for(&job, &apns_kind, &apns);
	ck_assert_msg(strtoll(header(&job, "apns-expiration"), NULL, 10) >
	                      loop_wall_ms() / 1000 + 86000,
	              "in the future, not in 1970");
	arena_release(&job.arena);
}
END_TEST

START_TEST(a_job_is_done_once_its_answer_came_and_the_endpoint_is_idle_then)
{
	submit(0);
	submit(1);
	ck_assert(!endpoint_idle(&endpoint));
	WAIT_UNTIL(done == 2);
	ck_assert_int_eq(jobs[0].judgement.verdict, VERDICT_SENT);
	ck_assert_int_eq(jobs[1].judgement.verdict, VERDICT_SENT);
	ck_assert(endpoint_idle(&endpoint));
	ck_assert_uint_eq(server.requests, 2);
}
END_TEST

START_TEST(trouble_of_the_provider_is_tried_again_until_the_deadline)
{
	server.statuses[0] = 503;
	submit(0);
	WAIT_UNTIL(done == 1);
	ck_assert_int_eq(jobs[0].judgement.verdict, VERDICT_SENT);
	ck_assert_uint_eq(jobs[0].attempts, 2);
	server.statuses[2] = 503;
	submit(1)->deadline_ms = loop_now_ms();
	WAIT_UNTIL(done == 2);
	ck_assert_int_eq(jobs[1].judgement.verdict, VERDICT_TRANSIENT);
	ck_assert_uint_eq(server.requests, 3);
}
END_TEST

START_TEST(an_expired_bearer_token_is_replaced_once_and_then_the_credential_is_refused)
{
	server.statuses[0] = 401;
	submit(0);
	WAIT_UNTIL(done == 1);
	ck_assert_int_eq(jobs[0].judgement.verdict, VERDICT_SENT);
	ck_assert_uint_eq(jobs[0].attempts, 1);
	ck_assert_str_ne(server.bearers[0], server.bearers[1]);
	server.statuses[2] = server.statuses[3] = 401;
	submit(1);
	WAIT_UNTIL(done == 2);
	ck_assert_int_eq(jobs[1].judgement.verdict, VERDICT_CREDENTIAL);
	ck_assert(endpoint.breaker.open);
	ck_assert_int_eq(endpoint.breaker.fault, BREAKER_CREDENTIAL);
}
END_TEST

START_TEST(what_nobody_waits_for_any_more_is_not_tried_again)
{
	struct job *job;

	server.statuses[0] = 503;
	job = submit(0);
	WAIT_UNTIL(job->connection != NULL);
	job->notification = NULL;
	WAIT_UNTIL(done == 1);
	ck_assert_int_eq(job->judgement.verdict, VERDICT_TRANSIENT);
	ck_assert_uint_eq(server.requests, 1);
}
END_TEST

START_TEST(while_the_breaker_is_open_jobs_end_without_a_request)
{
	server.statuses[0] = 403;
	submit(0);
	WAIT_UNTIL(done == 1);
	ck_assert_uint_eq(endpoint_room(&endpoint), 0);
	submit(1);
	WAIT_UNTIL(done == 2);
	ck_assert_int_eq(jobs[1].judgement.verdict, VERDICT_CREDENTIAL);
	ck_assert_str_eq(jobs[1].judgement.reason, "provider-open");
	ck_assert_uint_eq(server.requests, 1);
	WAIT_UNTIL(!endpoint.breaker.open);
	submit(2);
	WAIT_UNTIL(done == 3);
	ck_assert_msg(jobs[2].judgement.verdict == VERDICT_SENT, "the probe closes it");
}
END_TEST

START_TEST(another_credential_ends_the_pause_and_is_used_at_once)
{
	server.statuses[0] = 403;
	submit(0);
	WAIT_UNTIL(done == 1);
	ck_assert(endpoint.breaker.open);
	unlink(secret_file);
	memcpy(strrchr(secret_file, '-') + 1, "XXXXXX", 6);
	toy_write_file(secret_file, "toy:other");
	free(((struct toy_conf *)conf_own(endpoint.provider))->secret_file);
	((struct toy_conf *)conf_own(endpoint.provider))->secret_file = mem_dup(secret_file);
	credentials_reload();
	ck_assert(!endpoint.breaker.open);
	submit(1);
	WAIT_UNTIL(done == 2);
	ck_assert_int_eq(jobs[1].judgement.verdict, VERDICT_SENT);
	ck_assert_ptr_nonnull(strstr(server.bearers[1], "Toy other-"));
}
END_TEST

START_TEST(a_provider_that_cannot_be_reached_opens_the_breaker)
{
	toy_stop(&server);
	submit(0);
	WAIT_UNTIL(done == 1);
	ck_assert_int_eq(jobs[0].judgement.verdict, VERDICT_UNREACHABLE);
	ck_assert(endpoint.breaker.open);
	ck_assert_int_eq(endpoint.breaker.fault, BREAKER_UNREACHABLE);
	toy_start(&server); /* for the teardown */
}
END_TEST

START_TEST(a_cancelled_job_is_forgotten_in_the_queue_and_on_the_wire)
{
	submit(0);
	submit(1);
	endpoint_cancel(&jobs[1]);
	WAIT_UNTIL(jobs[0].connection != NULL);
	endpoint_cancel(&jobs[0]);
	ck_assert_ptr_null(jobs[0].connection);
	submit(2);
	WAIT_UNTIL(done == 1);
	ck_assert_int_eq(jobs[2].judgement.verdict, VERDICT_SENT);
	ck_assert(endpoint_idle(&endpoint));
	ck_assert_int_eq(length, 0);
}
END_TEST

/* ---- connections ---- */

static void on_nothing(struct http_call *call)
{
}

static struct connection *connect_nowhere(void)
{
	static struct connections all = { .options = { .http2 = true, .streams = 1000 } };

	return new_connection(&all);
}

static struct http_call call_with(const char *body, size_t len)
{
	return (struct http_call){
		.done = on_nothing,
		.method = "POST",
		.url = "https://127.0.0.1:1/",
		.body = body,
		.body_len = len,
		.timeout_ms = 60000,
	};
}

START_TEST(the_window_begins_with_one_doubles_and_falls_to_one)
{
	struct connection *connection = connect_nowhere();
	struct http_call call = call_with("", 0);

	ck_assert(has_room(connection));
	send_on(connection, &call);
	ck_assert(!has_room(connection));
	grow_window(connection);
	ck_assert(has_room(connection));
	reset_window(connection);
	ck_assert(!has_room(connection));
	http_release(&call);
	leave_connection(connection, &call);
	ck_assert(has_room(connection));
	free_connection(connection);
}
END_TEST

START_TEST(bodies_in_flight_never_pass_the_window_of_http2)
{
	static const char body[BODY_MAX];
	struct connection *connection = connect_nowhere();
	struct http_call calls[100];
	size_t sent = 0;

	connection->window = 1000;
	while (has_room(connection)) {
		ck_assert_uint_lt(sent, ARRAY_LEN(calls));
		calls[sent] = call_with(body, 4096 + sent);
		send_on(connection, &calls[sent++]);
	}
	ck_assert_uint_ge(sent, 14);
	ck_assert_uint_le(connection->body_bytes, BODIES_MAX);
	for (size_t i = 0; i < sent; i++) {
		http_release(&calls[i]);
		leave_connection(connection, &calls[i]);
	}
	ck_assert_uint_eq(connection->body_bytes, 0);
	ck_assert(has_room(connection));
	free_connection(connection);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		calls_go_before_high_before_low_and_equals_in_their_order,
		what_is_put_back_goes_first_among_its_equals,
		it_counts_what_is_in_it_once,
		the_window_begins_with_one_doubles_and_falls_to_one,
		bodies_in_flight_never_pass_the_window_of_http2,
		the_wait_grows_with_the_attempts_and_is_never_less_than_asked_for,
		each_attempt_expires_when_the_first_would_have,
		a_job_is_done_once_its_answer_came_and_the_endpoint_is_idle_then,
		trouble_of_the_provider_is_tried_again_until_the_deadline,
		an_expired_bearer_token_is_replaced_once_and_then_the_credential_is_refused,
		what_nobody_waits_for_any_more_is_not_tried_again,
		while_the_breaker_is_open_jobs_end_without_a_request,
		another_credential_ends_the_pause_and_is_used_at_once,
		a_provider_that_cannot_be_reached_opens_the_breaker,
		a_cancelled_job_is_forgotten_in_the_queue_and_on_the_wire,
	};

	return unit_run("endpoint", tests, ARRAY_LEN(tests), setup, teardown);
}
