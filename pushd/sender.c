#include "pushd/sender.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "pushd/breaker.h"
#include "pushd/connection.h"
#include "pushd/credential.h"
#include "pushd/guard.h"
#include "pushd/queue.h"
#include "pushd/uuid.h"

/*
 *   submitted ──▶ queued ──────▶ on the wire ──▶ done
 *                  ▲  ▲              │  │
 *                  │  └─ at once ────┘  │   expired bearer token, too large: once each
 *                  └─ after a delay ────┘   not processed: a few times, within the deadline
 */
#define REQUEST_TIMEOUT_MS 10000
#define ATTEMPTS_MAX 4

struct sender {
	const struct conf_provider *provider;
	const struct provider_kind *kind;
	struct provider_settings settings;
	struct credential *credential;
	struct credential_watch watch;
	struct queue queue;
	size_t queue_max;
	struct connection **connections; /* provider->pool_size of them */
	struct list retired;             /* those that only finish what is on them */
	struct breaker breaker;
	enum sender_refusal fault; /* why the breaker is open */
	struct guard guard;
	uint64_t warned_ms; /* when a failure was last logged */
	struct task pump;
};

static int64_t request_numbers[VERDICT_COUNT];
static struct metric requests_metric = {
	.name = "outrigger_pushd_requests_total",
	.help = "Requests to providers by verdict.",
	.kind = METRIC_COUNTER,
	.label = "verdict",
	.values = verdict_names,
	.series = VERDICT_COUNT,
	.numbers = request_numbers,
};
void sender_metrics(void)
{
	metrics_add(&requests_metric);
	connection_metrics();
	queue_metrics();
}

static void enqueue(struct job *job)
{
	queue_add(&job->sender->queue, &job->link, job->priority);
	task_start(&job->sender->pump);
}

static struct job *first_job(const struct sender *sender)
{
	struct list_link *link = queue_first(&sender->queue);

	return link != NULL ? container_of(link, struct job, link) : NULL;
}

static void finish(struct job *job)
{
	queue_remove(&job->sender->queue, &job->link);
	timer_stop(&job->again);
	arena_release(&job->arena);
	job->done(job);
}

static void fail(struct job *job, enum verdict verdict, const char *reason)
{
	job_judge(job, verdict, reason);
	finish(job);
}

/* ---- the breaker ---- */

static void open_breaker(struct sender *sender, enum sender_refusal fault, const char *reason)
{
	uint32_t pause_ms;

	if (sender->breaker.open)
		return;
	sender->fault = fault;
	pause_ms = breaker_open(&sender->breaker);
	log_error("provider-open provider=%s reason=%s pause_ms=%u queued=%zu",
	          sender->provider->id, reason, pause_ms, sender->queue.count);
	for (int64_t i = 0; i < sender->provider->pool_size; i++)
		connection_narrow(sender->connections[i]);
	task_start(&sender->pump);
}

/* A connection is of no more use: if that goes on, new ones wait. */
static void strike(struct sender *sender, const char *reason)
{
	if (breaker_strike(&sender->breaker))
		open_breaker(sender, SENDER_UNREACHABLE, reason);
}

static void on_passed(struct breaker *breaker)
{
	task_start(&container_of(breaker, struct sender, breaker)->pump);
}

static void on_credential(struct credential_watch *watch)
{
	struct sender *sender = container_of(watch, struct sender, watch);

	if (credential_state(sender->credential) == CREDENTIAL_READY)
		breaker_retry(&sender->breaker);
	task_start(&sender->pump);
}

/* ---- answers ---- */

static void on_again(struct timer *timer)
{
	enqueue(container_of(timer, struct job, again));
}

/*
 * Sends JOB again after DELAY_MS (0: as the next one, so that it shows whether that helps before
 * others meet the same), or gives up when that would be too late or too often.
 */
static void retry(struct job *job, uint64_t delay_ms)
{
	uint64_t now_ms = loop_now_ms();

	if (job->notification == NULL || job->attempts >= ATTEMPTS_MAX ||
	    now_ms + delay_ms >= job->deadline_ms) {
		finish(job);
		return;
	}
	if (delay_ms > 0) {
		timer_start(&job->again, delay_ms);
		return;
	}
	queue_return(&job->sender->queue, &job->link, job->priority);
	task_start(&job->sender->pump);
}

/* Takes CONNECTION out of use and puts a new one in its place. */
static void replace_connection(struct sender *sender, struct connection *connection)
{
	for (int64_t i = 0; i < sender->provider->pool_size; i++) {
		if (sender->connections[i] != connection)
			continue;
		list_append(&sender->retired, &connection->link);
		sender->connections[i] =
		        connection_new(sender->kind->streams_max, sender->provider->ca_file);
	}
	task_start(&sender->pump);
}

static void renew_bearer(struct job *job)
{
	struct sender *sender = job->sender;

	if (job->renewed) {
		job->judgement.verdict = VERDICT_CREDENTIAL;
		open_breaker(sender, SENDER_CREDENTIAL, job->judgement.reason);
		finish(job);
		return;
	}
	job->renewed = true;
	credential_renew(sender->credential, job->generation);
	retry(job, 0);
}

static void send_less(struct job *job)
{
	if (job->request.cut >= CUT_TEXT) {
		finish(job);
		return;
	}
	job->cut = CUT_TEXT;
	retry(job, 0);
}

/* What the verdict asks of us; JOB is done or queued again after it. */
static void react(struct job *job)
{
	struct sender *sender = job->sender;

	switch (job->judgement.verdict) {
	case VERDICT_EXPIRED:
		renew_bearer(job);
		return;
	case VERDICT_TOO_LARGE:
		send_less(job);
		return;
	case VERDICT_TRANSIENT:
		retry(job, job_retry_delay_ms(job));
		return;
	case VERDICT_UNREACHABLE:
		if (sender->breaker.open)
			break;
		retry(job, 0); /* when the breaker's pause ends */
		return;
	case VERDICT_CREDENTIAL:
		open_breaker(sender, SENDER_CREDENTIAL, job->judgement.reason);
		break;
	case VERDICT_UNKNOWN:
		break;
	default: /* it takes our credential and judges our notifications */
		if (breaker_success(&sender->breaker))
			log_info("provider-ready provider=%s", sender->provider->id);
		break;
	}
	finish(job);
}

/* An answer came: judges it, and adapts the connection to it. */
static void take_answer(struct job *job, struct connection *connection)
{
	struct sender *sender = job->sender;
	struct provider_answer answer = {
		.status = job->call.status,
		.body = job->call.response,
		.body_len = job->call.response_len,
		.id = http_response_header(&job->call, "apns-id"),
	};

	if (answer.status != 200)
		answer.retry_after = http_response_header(&job->call, "retry-after");
	sender->kind->judge(&answer, &job->judgement);
	job->judgement.status = answer.status;
	if (job->judgement.verdict == VERDICT_SENT) {
		guard_sent(&sender->guard, loop_now_ms());
		connection_widen(connection);
	} else if (job->judgement.narrow)
		connection_narrow(connection);
	if (!job->judgement.reconnect)
		return;
	replace_connection(sender, connection);
	/* Or each of them would cost a new connection. */
	if (job->judgement.verdict == VERDICT_TRANSIENT)
		strike(sender, job->judgement.reason);
}

/* Once a second is enough, since all that is on a connection fails with it. */
static void warn_failure(const struct job *job, const char *reason)
{
	struct sender *sender = job->sender;
	uint64_t now_ms = loop_now_ms();

	if (now_ms - sender->warned_ms < 1000)
		return;
	sender->warned_ms = now_ms;
	log_warn("provider-failed provider=%s id=%s reason=%s error=\"%s\"", sender->provider->id,
	         job->id, reason, job->call.error);
}

/* No answer came. Only where nothing was sent it is certain that nothing was processed. */
static void take_failure(struct job *job, struct connection *connection)
{
	struct sender *sender = job->sender;
	const char *reason = http_failure_name(job->call.failure);

	job_judge(job, VERDICT_UNKNOWN, reason);
	warn_failure(job, reason);
	connection_narrow(connection);
	switch (job->call.failure) {
	case HTTP_UNREACHABLE:
		job->judgement.verdict = VERDICT_UNREACHABLE;
		strike(sender, reason);
		break;
	case HTTP_BROKEN:
		strike(sender, reason);
		break;
	case HTTP_NOT_H2:
	case HTTP_UNTRUSTED:
		job->judgement.verdict = VERDICT_UNREACHABLE;
		open_breaker(sender, SENDER_UNREACHABLE, reason);
		break;
	case HTTP_TIMED_OUT:
		replace_connection(sender, connection);
		break;
	default:
		break;
	}
}

static void send_queued(struct sender *sender);

static void on_done(struct http_call *call)
{
	struct job *job = container_of(call, struct job, call);
	struct sender *sender = job->sender;
	struct connection *connection = job->connection;

	job->connection = NULL;
	connection_settled(connection);
	connection_observe(loop_now_ns() - job->sent_ns);
	if (call->failure == HTTP_OK)
		take_answer(job, connection);
	else
		take_failure(job, connection);
	metric_add(&requests_metric, job->judgement.verdict, 1);
	http_release(call);
	task_start(&sender->pump);
	react(job);
	/* Answers come in crowds: each makes room for one, which takes over what is at hand. */
	send_queued(sender);
}

/* ---- sending ---- */

/* The connection with the fewest requests that has room; while probing only the first one. */
static struct connection *choose_connection(const struct sender *sender)
{
	int64_t count = breaker_probing(&sender->breaker) ? 1 : sender->provider->pool_size;
	struct connection *best = NULL;

	for (int64_t i = 0; i < count; i++) {
		struct connection *connection = sender->connections[i];

		if (connection_has_room(connection) &&
		    (best == NULL || connection->in_flight < best->in_flight))
			best = connection;
	}
	return best;
}

static void transmit(struct job *job, struct connection *connection, const char *bearer)
{
	struct sender *sender = job->sender;

	if (job_build(job, sender->kind, &sender->settings, bearer) != 0) {
		fail(job, VERDICT_REJECTED, "payload-too-large");
		return;
	}
	queue_remove(&job->sender->queue, &job->link);
	job->attempts++;
	job->connection = connection;
	job->sent_ns = loop_now_ns();
	job->call.done = on_done;
	job->call.method = "POST";
	job->call.url = job->request.url;
	job->call.headers = job->request.headers;
	job->call.body = job->request.body;
	job->call.body_len = job->request.body_len;
	job->call.timeout_ms = REQUEST_TIMEOUT_MS;
	connection_send(connection, &job->call);
}

/* Sends the first in the queue if it may go now; false when nothing can. */
static bool send_next(struct sender *sender)
{
	struct job *job = first_job(sender);
	struct connection *connection;
	unsigned generation;
	const char *bearer;

	if (job == NULL || breaker_pausing(&sender->breaker))
		return false;
	connection = choose_connection(sender);
	if (connection == NULL)
		return false;
	bearer = credential_bearer(sender->credential, &generation);
	if (bearer == NULL) {
		if (credential_state(sender->credential) == CREDENTIAL_FAILED)
			open_breaker(sender, SENDER_CREDENTIAL, "no-bearer-token");
		return false;
	}
	job->generation = generation;
	transmit(job, connection, bearer);
	return true;
}

static void send_queued(struct sender *sender)
{
	while (!sender->breaker.open && send_next(sender))
		;
}

static void on_pump(struct task *task)
{
	struct sender *sender = container_of(task, struct sender, pump);
	struct job *job;

	list_for_each (link, &sender->retired) {
		struct connection *connection = container_of(link, struct connection, link);

		if (connection->in_flight == 0)
			connection_free(connection);
	}
	send_queued(sender);
	while (sender->breaker.open && (job = first_job(sender)) != NULL)
		fail(job,
		     sender->fault == SENDER_CREDENTIAL ? VERDICT_CREDENTIAL : VERDICT_UNREACHABLE,
		     "provider-open");
}

/* ---- the sender itself ---- */

struct sender *sender_new(const struct conf_provider *provider, size_t queue_max, char **why)
{
	struct sender *sender = mem_alloc(1, sizeof(*sender));

	sender->provider = provider;
	sender->kind = provider_kinds[provider->kind];
	sender->watch.changed = on_credential;
	sender->credential = credential_open(provider, &sender->watch, why);
	if (sender->credential == NULL) {
		free(sender);
		return NULL;
	}
	sender->settings = (struct provider_settings){
		.endpoint =
		        provider->endpoint != NULL ? provider->endpoint : sender->kind->endpoint,
		.topic = provider->topic,
		.project_id = provider->project_id != NULL ? provider->project_id
		                                           : credential_project(sender->credential),
		.expiry_s = provider->expiry_ms / 1000,
	};
	sender->queue_max = queue_max;
	queue_init(&sender->queue);
	list_init(&sender->retired);
	sender->breaker.passed = on_passed;
	breaker_init(&sender->breaker);
	sender->pump.run = on_pump;
	sender->connections = mem_alloc((size_t)provider->pool_size, sizeof(struct connection *));
	for (int64_t i = 0; i < provider->pool_size; i++)
		sender->connections[i] =
		        connection_new(sender->kind->streams_max, provider->ca_file);
	return sender;
}

void sender_free(struct sender *sender)
{
	if (sender == NULL)
		return;
	assert(first_job(sender) == NULL);
	task_stop(&sender->pump);
	breaker_release(&sender->breaker);
	for (int64_t i = 0; i < sender->provider->pool_size; i++)
		connection_free(sender->connections[i]);
	list_for_each (link, &sender->retired)
		connection_free(container_of(link, struct connection, link));
	free(sender->connections);
	credential_close(sender->credential, &sender->watch);
	free(sender);
}

bool sender_submit(struct sender *sender, struct job *job)
{
	if (sender->queue.count >= sender->queue_max)
		return false;
	job->sender = sender;
	job->again.expired = on_again;
	if (job->id[0] == '\0')
		uuid_make(job->id);
	enqueue(job);
	return true;
}

bool sender_abandon(struct job *job)
{
	if (job->connection != NULL) {
		job->notification = NULL;
		return false;
	}
	sender_cancel(job);
	return true;
}

void sender_cancel(struct job *job)
{
	queue_remove(&job->sender->queue, &job->link);
	timer_stop(&job->again);
	if (job->connection != NULL) {
		http_release(&job->call);
		connection_settled(job->connection);
		task_start(&job->sender->pump);
		job->connection = NULL;
	}
	arena_release(&job->arena);
}

const struct conf_provider *sender_provider(const struct sender *sender)
{
	return sender->provider;
}

const char *sender_state(const struct sender *sender)
{
	switch (sender_refusal(sender)) {
	case SENDER_UNREACHABLE:
		return "unreachable";
	case SENDER_CREDENTIAL:
		return "credential";
	default:
		return "ready";
	}
}

enum sender_refusal sender_refusal(const struct sender *sender)
{
	return sender->breaker.open ? sender->fault : SENDER_TAKES;
}

unsigned sender_room(const struct sender *sender)
{
	size_t count = (size_t)sender->provider->pool_size, room = 0;

	if (breaker_pausing(&sender->breaker))
		return 0;
	if (breaker_probing(&sender->breaker))
		count = 1;
	for (size_t i = 0; i < count; i++)
		if (connection_has_room(sender->connections[i]))
			room += sender->connections[i]->window - sender->connections[i]->in_flight;
	return room > sender->queue.count ? (unsigned)(room - sender->queue.count) : 0;
}

bool sender_trusted(const struct sender *sender)
{
	return guard_trusts(&sender->guard, loop_now_ms());
}

size_t sender_queued(const struct sender *sender)
{
	return sender->queue.count;
}
