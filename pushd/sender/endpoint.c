#include "pushd/sender/endpoint.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "pushd/provider/counters.h"
#include "pushd/provider/outcome.h"

/*
 *   submitted ──▶ queued ──────▶ on the wire ──▶ done
 *                  ▲  ▲              │  │
 *                  │  └─ at once ────┘  │   expired bearer token, too large: once each
 *                  │                    │   refused before it was processed: not counted
 *                  └─ after a delay ────┘   transient or unknown: a few times, by the deadline
 */
#define BODIES_MAX 65535 /* bytes in flight on a connection */
#define BODY_MAX 6144    /* bytes of one: the largest payload and what is round it */
#define REQUEST_TIMEOUT_MS 10000
#define ATTEMPTS_MAX 4
#define REFUSALS_MAX 3
#define RETRY_LEAST_MS 500
#define RETRY_MOST_MS 8000
#define DOUBTS_MAX 3 /* so many in a row mean that our credential is refused */

/* ---- the queue ---- */

static int64_t length;
static struct metric length_metric = {
	.name = "outrigger_pushd_queue_length",
	.help = "Notifications that wait for room on a connection.",
	.kind = METRIC_GAUGE,
	.numbers = &length,
};

static void queue_init(struct job_queue *queue)
{
	for (size_t i = 0; i < PRIORITY_COUNT; i++)
		list_init(&queue->lists[i]);
	queue->count = 0;
}

static void queue_add(struct job_queue *queue, struct job *job)
{
	list_append(&queue->lists[job->priority], &job->link);
	queue->count++;
	metric_add(&length_metric, 0, 1);
}

/* Puts JOB back before all others of its priority. */
static void queue_return(struct job_queue *queue, struct job *job)
{
	list_prepend(&queue->lists[job->priority], &job->link);
	queue->count++;
	metric_add(&length_metric, 0, 1);
}

/* Does nothing when JOB isn't in the queue. */
static void queue_remove(struct job_queue *queue, struct job *job)
{
	if (!list_linked(&job->link))
		return;
	list_remove(&job->link);
	queue->count--;
	metric_add(&length_metric, 0, -1);
}

/* The next one, still in the queue; NULL when it is empty. */
static struct job *queue_first(const struct job_queue *queue)
{
	for (size_t i = 0; i < PRIORITY_COUNT; i++)
		if (!list_empty(&queue->lists[i]))
			return container_of(list_first(&queue->lists[i]), struct job, link);
	return NULL;
}

/* ---- connections ---- */

static int64_t in_flight_number;
static struct metric in_flight_metric = {
	.name = "outrigger_pushd_requests_in_flight",
	.help = "Requests that a provider has not answered yet.",
	.kind = METRIC_GAUGE,
	.numbers = &in_flight_number,
};

static void on_draining(struct http_pool_watch *watch);

/* One of ALL, with their options: "streams" is the largest window; "connections" is ignored. */
static struct connection *new_connection(struct connections *all)
{
	struct http_pool_options own = all->options;
	struct connection *connection = mem_alloc(1, sizeof(*connection));

	own.connections = 1;
	own.watch = &connection->watch;
	connection->watch.draining = on_draining;
	connection->all = all;
	list_init(&connection->jobs);
	connection->pool = http_pool_new(&own);
	connection->window = 1;
	connection->window_max = own.streams;
	return connection;
}

/* Cancels the requests on it; NULL is fine. */
static void free_connection(struct connection *connection)
{
	if (connection == NULL)
		return;
	list_remove(&connection->link);
	http_pool_free(connection->pool);
	free(connection);
}

static bool has_room(const struct connection *connection)
{
	return connection->in_flight < connection->window &&
	       connection->body_bytes + BODY_MAX <= BODIES_MAX;
}

static void send_on(struct connection *connection, struct http_call *call)
{
	connection->in_flight++;
	connection->body_bytes += call->body_len;
	metric_add(&in_flight_metric, 0, 1);
	http_send(connection->pool, call);
}

/* CALL, which was sent on it, is done or was cancelled. */
static void leave_connection(struct connection *connection, const struct http_call *call)
{
	assert(connection->in_flight > 0 && connection->body_bytes >= call->body_len);
	connection->in_flight--;
	connection->body_bytes -= call->body_len;
	metric_add(&in_flight_metric, 0, -1);
}

static void put_on_wire(struct job *job, struct connection *connection)
{
	job->connection = connection;
	list_append(&connection->jobs, &job->wire);
	send_on(connection, &job->call);
}

/* JOB is done or was cancelled; its call isn't released yet. */
static void take_off_wire(struct job *job)
{
	list_remove(&job->wire);
	leave_connection(job->connection, &job->call);
	job->connection = NULL;
}

static void grow_window(struct connection *connection)
{
	connection->window *= 2;
	if (connection->window > connection->window_max)
		connection->window = connection->window_max;
}

static void reset_window(struct connection *connection)
{
	connection->window = 1;
}

static void init_connections(struct connections *all, struct endpoint *endpoint,
                             const struct http_pool_options *options)
{
	size_t size = (size_t)endpoint->provider->pool_size;

	list_init(&all->retired);
	all->endpoint = endpoint;
	all->options = *options;
	all->size = size;
	all->items = mem_alloc(size, sizeof(struct connection *));
	for (size_t i = 0; i < size; i++)
		all->items[i] = new_connection(all);
}

static void release_connections(struct connections *all)
{
	for (size_t i = 0; i < all->size; i++)
		free_connection(all->items[i]);
	list_for_each (link, &all->retired)
		free_connection(container_of(link, struct connection, link));
	free(all->items);
	all->items = NULL;
	all->size = 0;
}

/*
 * The connection with the fewest requests that has room, or NULL; with FIRST_ONLY only the first
 * one is considered.
 */
static struct connection *choose_connection(const struct connections *all, bool first_only)
{
	size_t count = first_only ? 1 : all->size;
	struct connection *best = NULL;

	for (size_t i = 0; i < count; i++) {
		struct connection *connection = all->items[i];

		if (has_room(connection) &&
		    (best == NULL || connection->in_flight < best->in_flight))
			best = connection;
	}
	return best;
}

/* How many requests there is room for. */
static unsigned count_room(const struct connections *all)
{
	unsigned room = 0;

	for (size_t i = 0; i < all->size; i++)
		if (has_room(all->items[i]))
			room += all->items[i]->window - all->items[i]->in_flight;
	return room;
}

/* Retires the one at I and makes a new one in its place. */
static void retire(struct connections *all, size_t i)
{
	list_append(&all->retired, &all->items[i]->link);
	all->items[i] = new_connection(all);
}

/* Retires CONNECTION and makes a new one in its place; nothing if it is retired already. */
static void replace_connection(struct connection *connection)
{
	struct connections *all = connection->all;

	for (size_t i = 0; i < all->size; i++)
		if (all->items[i] == connection)
			retire(all, i);
}

/* Retires all and makes new ones with OPTIONS. */
static void renew_connections(struct connections *all, const struct http_pool_options *options)
{
	all->options = *options;
	for (size_t i = 0; i < all->size; i++)
		retire(all, i);
}

static void reset_windows(struct connections *all)
{
	for (size_t i = 0; i < all->size; i++)
		reset_window(all->items[i]);
}

static void free_retired(struct connections *all)
{
	list_for_each (link, &all->retired) {
		struct connection *connection = container_of(link, struct connection, link);

		if (connection->in_flight == 0)
			free_connection(connection);
	}
}

/* ---- a job by itself ---- */

static enum lane lane_of(const struct job *job)
{
	return job->unproven ? LANE_UNPROVEN : LANE_PROVEN;
}

static struct job_queue *queue_of(struct job *job)
{
	return &job->endpoint->queues[lane_of(job)];
}

/*
 * Builds the request with BEARER and the current time. Returns 0, or -1 if no form of it fits the
 * provider's limit.
 */
static int build(struct job *job, const char *bearer)
{
	const struct endpoint *endpoint = job->endpoint;
	const struct provider_message message = {
		.settings = &endpoint->settings,
		.notification = job->notification,
		.priority = job->priority,
		.account = job->device.account,
		.channel = job->device.channel,
		.node = job->device.node,
		.content = job->device.content,
		.token = provider_device_token(&job->device, job->priority),
		.bearer = bearer,
		.id = job->id,
		.now_s = loop_wall_ms() / 1000,
		.expires_s = job->expires_s,
		.cut = job->cut,
		.arena = &job->arena,
	};

	arena_reset(&job->arena);
	return endpoint->kind->build(&message, &job->request);
}

/* Sets the judgement of a job that got no answer. */
static void judge(struct job *job, enum verdict verdict, const char *reason)
{
	job->judgement = (struct judgement){ .verdict = verdict };
	mem_copy_word(job->judgement.reason, sizeof(job->judgement.reason), reason);
}

/* How long to wait before the next attempt, after one that wasn't processed. */
static uint64_t retry_delay_ms(const struct job *job)
{
	struct backoff backoff = { .least_ms = RETRY_LEAST_MS, .most_ms = RETRY_MOST_MS };
	uint64_t delay_ms = 0;

	for (unsigned i = 0; i < job->attempts; i++)
		delay_ms = backoff_next(&backoff);
	if (delay_ms < (uint64_t)job->judgement.retry_after_ms)
		delay_ms = (uint64_t)job->judgement.retry_after_ms;
	return delay_ms;
}

static void finish(struct job *job)
{
	queue_remove(queue_of(job), job);
	timer_stop(&job->again);
	arena_release(&job->arena);
	job->endpoint->jobs--;
	job->endpoint->done(job);
}

static void fail(struct job *job, enum verdict verdict, const char *reason)
{
	judge(job, verdict, reason);
	finish(job);
}

/* ---- the breaker ---- */

/* Two endpoints may have one origin: which of them it is, for the log. */
static const char *what_for(const struct endpoint *endpoint)
{
	return credential_is_for_calls(endpoint->credential) ? " for=calls" : "";
}

static void log_open(const struct endpoint *endpoint, uint32_t pause_ms)
{
	const struct breaker *breaker = &endpoint->breaker;
	bool by_credential = breaker->fault == BREAKER_CREDENTIAL;

	log_error("provider-open provider=%s reason=%s fault=%s endpoint=%s pause_ms=%u "
	          "queued=%zu%s%s%s",
	          endpoint->provider->id, breaker->reason, breaker_fault_names[breaker->fault],
	          endpoint->origin, pause_ms, endpoint_queued(endpoint), what_for(endpoint),
	          by_credential ? " credential=" : "",
	          by_credential ? credential_place(endpoint->credential) : "");
}

static void open_breaker(struct endpoint *endpoint, enum breaker_fault fault, const char *reason)
{
	uint32_t pause_ms;

	if (endpoint->breaker.open)
		return;
	pause_ms = breaker_open(&endpoint->breaker, fault, reason);
	log_open(endpoint, pause_ms);
	for (enum lane lane = 0; lane < LANES; lane++)
		reset_windows(&endpoint->connections[lane]);
	task_start(&endpoint->pump);
}

/* A connection failed. After a few in a row the breaker opens, and no new one is made. */
static void strike(struct endpoint *endpoint, const char *reason)
{
	if (breaker_strike(&endpoint->breaker))
		open_breaker(endpoint, BREAKER_UNREACHABLE, reason);
}

static void on_breaker_passed(struct breaker *breaker)
{
	task_start(&container_of(breaker, struct endpoint, breaker)->pump);
}

/* ---- sending again ---- */

static void on_retry_due(struct timer *timer)
{
	struct job *job = container_of(timer, struct job, again);

	queue_add(queue_of(job), job);
	task_start(&job->endpoint->pump);
}

/*
 * Sends JOB again after DELAY_MS, or ends it if that would be past its deadline or one attempt too
 * many. 0: before all others of its priority, so that it shows whether the fault is gone before
 * others run into it.
 */
static void retry(struct job *job, uint64_t delay_ms)
{
	if (job->notification == NULL || job->attempts >= ATTEMPTS_MAX ||
	    loop_now_ms() + delay_ms >= job->deadline_ms) {
		finish(job);
		return;
	}
	if (delay_ms > 0) {
		timer_start(&job->again, delay_ms);
		return;
	}
	queue_return(queue_of(job), job);
	task_start(&job->endpoint->pump);
}

/* The provider refuses the credential. If another one is in use by now, JOB tries that. */
static void credential_refused(struct job *job)
{
	job->judgement.verdict = VERDICT_CREDENTIAL;
	if (job->version != job->endpoint->version) {
		retry(job, 0);
		return;
	}
	open_breaker(job->endpoint, BREAKER_CREDENTIAL, job->judgement.reason);
	finish(job);
}

static void renew_bearer(struct job *job)
{
	if (job->renewed) {
		credential_refused(job);
		return;
	}
	job->renewed = true;
	job->attempts--;
	credential_renew(job->endpoint->credential, job->endpoint->origin, job->generation);
	retry(job, 0);
}

static void retry_truncated(struct job *job)
{
	if (job->request.cut >= CUT_TEXT) {
		finish(job);
		return;
	}
	job->cut = CUT_TEXT;
	retry(job, 0);
}

/* The request wasn't processed: the first REFUSALS_MAX times it is sent again without a pause. */
static void retry_unprocessed(struct job *job)
{
	if (++job->refusals > REFUSALS_MAX) {
		retry(job, retry_delay_ms(job));
		return;
	}
	job->attempts--;
	retry(job, 0);
}

/* JOB's request hasn't begun to go out. */
static void take_back(struct job *job)
{
	http_release(&job->call);
	take_off_wire(job);
	judge(job, VERDICT_TRANSIENT, http_failure_name(HTTP_REFUSED));
	job->attempts--;
	retry(job, 0);
}

/*
 * The provider ends the connection, which may stay open as long as one of its requests isn't
 * answered. What isn't on the wire yet goes over the next one, in its order. A connection that has
 * brought no answer counts as failed: else each request could cost a new one.
 */
static void on_draining(struct http_pool_watch *watch)
{
	struct connection *connection = container_of(watch, struct connection, watch);
	struct endpoint *endpoint = connection->all->endpoint;
	struct list_link *first;
	struct list waiting; /* the last one first */

	endpoint->running = true;
	list_init(&waiting);
	list_for_each (link, &connection->jobs) {
		if (http_begun(&container_of(link, struct job, wire)->call))
			continue;
		list_remove(link);
		list_prepend(&waiting, link);
	}
	replace_connection(connection);
	while ((first = list_first(&waiting)) != NULL)
		take_back(container_of(first, struct job, wire));
	if (!connection->answered)
		strike(endpoint, "goaway");
	task_start(&endpoint->pump);
	endpoint->running = false;
}

/* ---- answers ---- */

/*
 * Our credential may be refused, or the provider is in trouble. Only a few such answers in a row
 * are believed, since what isn't sent for want of a credential isn't queued.
 */
static void doubt_credential(struct job *job)
{
	struct endpoint *endpoint = job->endpoint;

	/* Those that fail side by side count once. */
	if (!breaker_pausing(&endpoint->breaker))
		endpoint->doubts++;
	if (!breaker_strike(&endpoint->breaker))
		return;
	if (endpoint->doubts >= DOUBTS_MAX)
		job->judgement.verdict = VERDICT_CREDENTIAL;
	else
		open_breaker(endpoint, BREAKER_UNREACHABLE, job->judgement.reason);
}

static void record_success(struct endpoint *endpoint)
{
	endpoint->doubts = 0;
	if (breaker_success(&endpoint->breaker))
		log_info("provider-ready provider=%s endpoint=%s%s", endpoint->provider->id,
		         endpoint->origin, what_for(endpoint));
}

/* Does what the verdict asks for: JOB is done, or queued again. */
static void react(struct job *job)
{
	struct endpoint *endpoint = job->endpoint;

	switch (job->judgement.verdict) {
	case VERDICT_EXPIRED:
		renew_bearer(job);
		return;
	case VERDICT_TOO_LARGE:
		record_success(endpoint);
		retry_truncated(job);
		return;
	case VERDICT_TRANSIENT:
		if (job->call.failure == HTTP_REFUSED)
			retry_unprocessed(job);
		else
			retry(job, retry_delay_ms(job));
		return;
	case VERDICT_UNREACHABLE:
		if (endpoint->breaker.open)
			break;
		retry(job, 0); /* it is sent when the breaker's pause ends */
		return;
	case VERDICT_UNKNOWN: /* the same id lets the device recognise a duplicate */
		retry(job, job->attempts == 1 ? 0 : retry_delay_ms(job));
		return;
	case VERDICT_CREDENTIAL:
		credential_refused(job);
		return;
	default: /* the provider takes our credential and judges our notifications */
		record_success(endpoint);
		break;
	}
	finish(job);
}

/* An answer came: judges it, and adapts the window and the connections to it. */
static void take_answer(struct job *job, struct connection *connection)
{
	struct endpoint *endpoint = job->endpoint;
	struct provider_answer answer = {
		.status = job->call.status,
		.body = job->call.response,
		.body_len = job->call.response_len,
	};

	for (size_t i = 0; i < PROVIDER_WANTED_MAX && endpoint->kind->wanted[i] != NULL; i++)
		answer.wanted[i] = http_response_header(&job->call, endpoint->kind->wanted[i]);
	connection->answered = true;
	if (answer.status / 100 != 2)
		answer.retry_after = http_response_header(&job->call, "retry-after");
	endpoint->kind->judge(&answer, &job->judgement);
	if (job->judgement.verdict == VERDICT_SENT)
		grow_window(connection);
	else if (job->judgement.reset_window)
		reset_window(connection);
	if (job->judgement.pause_provider)
		pacer_pause(endpoint->pacer, (uint64_t)job->judgement.retry_after_ms);
	if (job->judgement.speechless)
		doubt_credential(job);
	else
		endpoint->doubts = 0;
	if (!job->judgement.reconnect)
		return;
	replace_connection(connection);
	/* Otherwise each such answer would cost a new connection. */
	if (job->judgement.verdict == VERDICT_TRANSIENT ||
	    job->judgement.verdict == VERDICT_UNKNOWN)
		strike(endpoint, job->judgement.reason);
}

/* At most once a second: all requests on a connection fail with it. */
static void warn_failure(const struct job *job)
{
	struct endpoint *endpoint = job->endpoint;
	uint64_t now_ms = loop_now_ms();

	if (now_ms - endpoint->warned_ms < 1000)
		return;
	endpoint->warned_ms = now_ms;
	log_warn("provider-failed provider=%s id=%s reason=%s error=\"%s\"", endpoint->provider->id,
	         job->id, job->judgement.reason, job->call.error);
}

/* The provider refused our certificate by an alert of TLS, which as one word is the reason. */
static void take_refusal(struct job *job)
{
	char reason[JUDGEMENT_REASON_MAX];

	snprintf(reason, sizeof(reason), "tls-%.40s", job->call.error);
	for (char *at = reason; *at != '\0'; at++)
		*at = *at == ' ' ? '-' : (char)tolower((unsigned char)*at);
	judge(job, VERDICT_CREDENTIAL, reason);
}

/*
 * The provider closed the connection after our certificate, without an alert: a refusal or an
 * accident. Of the certificate for calls that counts as a refusal at once, since its calls then go
 * as alerts by the other one.
 */
static void take_close(struct job *job)
{
	bool sent = job->call.failure == HTTP_BROKEN;

	judge(job, sent ? VERDICT_UNKNOWN : VERDICT_UNREACHABLE, "tls-closed-at-certificate");
	warn_failure(job);
	if (credential_is_for_calls(job->endpoint->credential))
		job->judgement.verdict = VERDICT_CREDENTIAL;
	else
		doubt_credential(job);
}

/* No answer came. Only where nothing was sent is it certain that nothing was processed. */
static void take_failure(struct job *job, struct connection *connection)
{
	struct endpoint *endpoint = job->endpoint;
	const char *reason = http_failure_name(job->call.failure);

	reset_window(connection);
	if (job->call.at_certificate) {
		take_close(job);
		return;
	}
	endpoint->doubts = 0;
	judge(job, VERDICT_UNKNOWN, reason);
	if (job->call.failure == HTTP_CERTIFICATE)
		take_refusal(job);
	warn_failure(job);
	switch (job->call.failure) {
	case HTTP_UNREACHABLE:
		job->judgement.verdict = VERDICT_UNREACHABLE;
		strike(endpoint, reason);
		break;
	case HTTP_REFUSED:
		job->judgement.verdict = VERDICT_TRANSIENT;
		strike(endpoint, reason);
		break;
	case HTTP_BROKEN:
		strike(endpoint, reason);
		break;
	case HTTP_NOT_H2:
	case HTTP_UNTRUSTED:
		job->judgement.verdict = VERDICT_UNREACHABLE;
		open_breaker(endpoint, BREAKER_UNREACHABLE, reason);
		break;
	case HTTP_TIMED_OUT:
		replace_connection(connection);
		break;
	default:
		break;
	}
}

static void send_queued(struct endpoint *endpoint);

static void on_http_done(struct http_call *call)
{
	struct job *job = container_of(call, struct job, call);
	struct endpoint *endpoint = job->endpoint;
	struct connection *connection = job->connection;
	uint64_t duration_ns = loop_now_ns() - job->sent_ns;

	endpoint->running = true;
	take_off_wire(job);
	/* The status line counts, also if the body is longer than we read. */
	if (call->failure == HTTP_OK || call->failure == HTTP_TOO_LARGE)
		take_answer(job, connection);
	else
		take_failure(job, connection);
	counters_request(endpoint->provider, &job->judgement, duration_ns);
	http_release(call);
	task_start(&endpoint->pump);
	react(job);
	/* Completions arrive in bursts; sending now reuses the handle that this one just freed. */
	send_queued(endpoint);
	endpoint->running = false;
}

/* ---- sending ---- */

static void transmit(struct job *job, struct connection *connection, const char *bearer)
{
	if (build(job, bearer) != 0) {
		job->too_large = true;
		fail(job, VERDICT_REJECTED, reason_names[REASON_PAYLOAD_TOO_LARGE]);
		return;
	}
	queue_remove(queue_of(job), job);
	job->attempts++;
	job->version = job->endpoint->version;
	job->sent_ns = loop_now_ns();
	job->call.done = on_http_done;
	job->call.method = "POST";
	job->call.url = job->request.url;
	job->call.headers = job->request.headers;
	job->call.body = job->request.body;
	job->call.body_len = job->request.body_len;
	job->call.timeout_ms = REQUEST_TIMEOUT_MS;
	put_on_wire(job, connection);
}

/* Sets *BEARER to the token, or NULL where TLS shows a certificate. False: no credential. */
static bool find_bearer(struct endpoint *endpoint, const char **bearer, unsigned *generation)
{
	static const struct {
		enum breaker_fault fault;
		enum reason reason;
	} lacks[] = {
		[CREDENTIAL_FAILED] = { BREAKER_CREDENTIAL, REASON_NO_BEARER_TOKEN },
		[CREDENTIAL_UNREACHABLE] = { BREAKER_UNREACHABLE, REASON_NO_BEARER_TOKEN },
		[CREDENTIAL_ABSENT] = { BREAKER_CREDENTIAL, REASON_NO_CREDENTIAL },
		[CREDENTIAL_INVALID] = { BREAKER_CREDENTIAL, REASON_CREDENTIAL_NOT_VALID },
	};
	enum credential_state state;

	*bearer = credential_bearer(endpoint->credential, endpoint->origin, generation);
	state = *bearer != NULL ? CREDENTIAL_READY
	                        : credential_state(endpoint->credential, endpoint->origin);
	if (state == CREDENTIAL_READY)
		return true;
	if (state != CREDENTIAL_WAITING) {
		endpoint->waits_for_credential = true;
		open_breaker(endpoint, lacks[state].fault, reason_names[lacks[state].reason]);
	}
	return false;
}

/* True while the one request is on the wire that tests whether the provider works again. */
static bool probe_under_way(const struct endpoint *endpoint)
{
	if (!breaker_probing(&endpoint->breaker))
		return false;
	for (enum lane lane = 0; lane < LANES; lane++)
		if (endpoint->connections[lane].items[0]->in_flight > 0)
			return true;
	return false;
}

/*
 * The next job for which there is room, with its connection; NULL if there is none. Of jobs of the
 * same priority the lanes send one in turn.
 */
static struct job *choose_job(struct endpoint *endpoint, struct connection **connection)
{
	struct job *best = NULL;

	for (size_t i = 0; i < LANES; i++) {
		enum lane lane = (endpoint->turn + i) % LANES;
		struct job *job = queue_first(&endpoint->queues[lane]);
		struct connection *room;

		if (job == NULL || (best != NULL && best->priority <= job->priority))
			continue;
		room = choose_connection(&endpoint->connections[lane],
		                         breaker_probing(&endpoint->breaker));
		if (room == NULL)
			continue;
		best = job;
		*connection = room;
	}
	return best;
}

/* Sends the next job if one may be sent now; false if not. */
static bool send_next(struct endpoint *endpoint)
{
	struct connection *connection;
	const char *bearer;
	struct job *job;

	if (breaker_pausing(&endpoint->breaker) || probe_under_way(endpoint))
		return false;
	job = choose_job(endpoint, &connection);
	if (job == NULL || !find_bearer(endpoint, &bearer, &job->generation) ||
	    !pacer_take(endpoint->pacer))
		return false;
	endpoint->turn = (lane_of(job) + 1) % LANES;
	transmit(job, connection, bearer);
	return true;
}

/* A job that waits in either lane, or NULL. */
static struct job *any_queued(const struct endpoint *endpoint)
{
	struct job *job = queue_first(&endpoint->queues[LANE_PROVEN]);

	return job != NULL ? job : queue_first(&endpoint->queues[LANE_UNPROVEN]);
}

static void send_queued(struct endpoint *endpoint)
{
	while (!endpoint->breaker.open && send_next(endpoint))
		;
}

static void on_pump(struct task *task)
{
	struct endpoint *endpoint = container_of(task, struct endpoint, pump);
	struct job *job;

	endpoint->running = true;
	for (enum lane lane = 0; lane < LANES; lane++)
		free_retired(&endpoint->connections[lane]);
	send_queued(endpoint);
	while (endpoint->breaker.open && (job = any_queued(endpoint)) != NULL)
		fail(job,
		     endpoint->breaker.fault == BREAKER_CREDENTIAL ? VERDICT_CREDENTIAL
		                                                   : VERDICT_UNREACHABLE,
		     reason_names[REASON_PROVIDER_OPEN]);
	endpoint->running = false;
}

/* ---- the endpoint itself ---- */

/* Takes what requests need from the credential; returns what its connections need. */
static struct http_pool_options apply_credential(struct endpoint *endpoint)
{
	const struct conf_provider *provider = endpoint->provider;
	const struct material *material = credential_material(endpoint->credential);

	endpoint->version = credential_version(endpoint->credential);
	endpoint->doubts = 0;
	endpoint->settings = (struct provider_settings){
		.endpoint = endpoint->origin,
		.own = conf_own(provider),
		.material = material,
		.expiry_s = provider->expiry_ms / 1000,
	};
	return (struct http_pool_options){
		.http2 = endpoint->kind->protocol == PROTOCOL_H2,
		.streams =
		        endpoint->kind->protocol == PROTOCOL_H2 ? endpoint->kind->streams_max : 1,
		.ca_file = provider->ca_file,
		.proxy = provider->http_proxy,
		.certificate = material != NULL ? material->certificate : NULL,
		.key = material != NULL ? material->tls_key : NULL,
	};
}

void endpoint_metrics(void)
{
	metrics_add(&in_flight_metric);
	metrics_add(&length_metric);
}

void endpoint_start(struct endpoint *endpoint)
{
	struct http_pool_options options = apply_credential(endpoint);

	for (enum lane lane = 0; lane < LANES; lane++) {
		queue_init(&endpoint->queues[lane]);
		init_connections(&endpoint->connections[lane], endpoint, &options);
	}
	endpoint->breaker.passed = on_breaker_passed;
	breaker_init(&endpoint->breaker);
	endpoint->pump.run = on_pump;
}

void endpoint_stop(struct endpoint *endpoint)
{
	assert(any_queued(endpoint) == NULL);
	task_stop(&endpoint->pump);
	breaker_release(&endpoint->breaker);
	for (enum lane lane = 0; lane < LANES; lane++)
		release_connections(&endpoint->connections[lane]);
}

void endpoint_submit(struct endpoint *endpoint, struct job *job)
{
	endpoint->jobs++;
	job->endpoint = endpoint;
	job->again.expired = on_retry_due;
	queue_add(queue_of(job), job);
	task_start(&endpoint->pump);
}

void endpoint_cancel(struct job *job)
{
	queue_remove(queue_of(job), job);
	timer_stop(&job->again);
	if (job->connection != NULL) {
		http_release(&job->call);
		take_off_wire(job);
		task_start(&job->endpoint->pump);
	}
	arena_release(&job->arena);
	job->endpoint->jobs--;
}

void endpoint_wake(struct endpoint *endpoint)
{
	task_start(&endpoint->pump);
}

void endpoint_renew(struct endpoint *endpoint)
{
	if (endpoint->version != credential_version(endpoint->credential)) {
		struct http_pool_options options = apply_credential(endpoint);

		for (enum lane lane = 0; lane < LANES; lane++)
			renew_connections(&endpoint->connections[lane], &options);
		breaker_retry(&endpoint->breaker);
	}
	if (endpoint->waits_for_credential &&
	    credential_state(endpoint->credential, endpoint->origin) == CREDENTIAL_READY) {
		endpoint->waits_for_credential = false;
		breaker_retry(&endpoint->breaker);
	}
	task_start(&endpoint->pump);
}

bool endpoint_idle(const struct endpoint *endpoint)
{
	return endpoint->jobs == 0 && !endpoint->running;
}

unsigned endpoint_room(const struct endpoint *endpoint)
{
	size_t queued = endpoint_queued(endpoint);
	unsigned room = 0, pace = pacer_room(endpoint->pacer);

	if (breaker_pausing(&endpoint->breaker) || probe_under_way(endpoint))
		return 0;
	for (enum lane lane = 0; lane < LANES; lane++)
		room += count_room(&endpoint->connections[lane]);
	if (breaker_probing(&endpoint->breaker))
		room = 1;
	if (room > pace)
		room = pace;
	return room > queued ? room - (unsigned)queued : 0;
}
