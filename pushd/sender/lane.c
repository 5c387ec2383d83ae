#include "pushd/sender/lane.h"

#include <assert.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "pushd/provider/counters.h"

/*
 *   submitted ──▶ queued ──────▶ on the wire ──▶ done
 *                  ▲  ▲              │  │
 *                  │  └─ at once ────┘  │   expired bearer token, too large: once each
 *                  │                    │   refused before it was processed: not counted
 *                  └─ after a delay ────┘   transient or unknown: a few times, by the deadline
 */
#define REQUEST_TIMEOUT_MS 10000
#define ATTEMPTS_MAX 4
#define REFUSALS_MAX 3

void lane_metrics(void)
{
	connection_metrics();
	queue_metrics();
}

static struct job *first_job(const struct lane *lane)
{
	struct list_link *link = queue_first(&lane->queue);

	return link != NULL ? container_of(link, struct job, link) : NULL;
}

static void finish(struct job *job)
{
	queue_remove(&job->lane->queue, &job->link);
	timer_stop(&job->again);
	arena_release(&job->arena);
	job->lane->done(job);
}

static void fail(struct job *job, enum verdict verdict, const char *reason)
{
	job_judge(job, verdict, reason);
	finish(job);
}

/* ---- the breaker ---- */

static void open_breaker(struct lane *lane, enum breaker_fault fault, const char *reason)
{
	uint32_t pause_ms;

	if (lane->breaker.open)
		return;
	pause_ms = breaker_open(&lane->breaker, fault);
	log_error("provider-open provider=%s reason=%s fault=%s endpoint=%s pause_ms=%u queued=%zu",
	          lane->provider->id, reason, breaker_fault_names[fault], lane->endpoint, pause_ms,
	          lane->queue.count);
	pool_narrow(&lane->pool);
	task_start(&lane->pump);
}

/* A connection is of no more use: if that goes on, new ones wait. */
static void strike(struct lane *lane, const char *reason)
{
	if (breaker_strike(&lane->breaker))
		open_breaker(lane, BREAKER_UNREACHABLE, reason);
}

static void on_passed(struct breaker *breaker)
{
	task_start(&container_of(breaker, struct lane, breaker)->pump);
}

/* ---- sending again ---- */

static void on_again(struct timer *timer)
{
	struct job *job = container_of(timer, struct job, again);

	queue_add(&job->lane->queue, &job->link, job->priority);
	task_start(&job->lane->pump);
}

/*
 * Sends JOB again after DELAY_MS (0: as the next one, so that it shows whether that helps before
 * others meet the same), or gives up when that would be too late or too often.
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
	queue_return(&job->lane->queue, &job->link, job->priority);
	task_start(&job->lane->pump);
}

/* The provider doesn't take our credential. If it was replaced since, that is not its fault. */
static void lose_trust(struct job *job)
{
	job->judgement.verdict = VERDICT_CREDENTIAL;
	if (job->version != job->lane->version) {
		retry(job, 0);
		return;
	}
	open_breaker(job->lane, BREAKER_CREDENTIAL, job->judgement.reason);
	finish(job);
}

static void renew_bearer(struct job *job)
{
	if (job->renewed) {
		lose_trust(job);
		return;
	}
	job->renewed = true;
	job->attempts--;
	credential_renew(job->lane->credential, job->lane->endpoint, job->generation);
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

/* Nothing was processed, so nobody need wait; unless it goes on and on. */
static void send_elsewhere(struct job *job)
{
	if (++job->refusals > REFUSALS_MAX) {
		retry(job, job_retry_delay_ms(job));
		return;
	}
	job->attempts--;
	retry(job, 0);
}

/* ---- answers ---- */

static void note_success(struct lane *lane)
{
	if (breaker_success(&lane->breaker))
		log_info("provider-ready provider=%s endpoint=%s", lane->provider->id,
		         lane->endpoint);
}

/* What the verdict asks of us; JOB is done or queued again after it. */
static void react(struct job *job)
{
	struct lane *lane = job->lane;

	switch (job->judgement.verdict) {
	case VERDICT_EXPIRED:
		renew_bearer(job);
		return;
	case VERDICT_TOO_LARGE:
		note_success(lane);
		send_less(job);
		return;
	case VERDICT_TRANSIENT:
		if (job->call.failure == HTTP_REFUSED)
			send_elsewhere(job);
		else
			retry(job, job_retry_delay_ms(job));
		return;
	case VERDICT_UNREACHABLE:
		if (lane->breaker.open)
			break;
		retry(job, 0); /* when the breaker's pause ends */
		return;
	case VERDICT_UNKNOWN: /* with the same id, by which the device tells it is the same */
		retry(job, job->attempts == 1 ? 0 : job_retry_delay_ms(job));
		return;
	case VERDICT_CREDENTIAL:
		lose_trust(job);
		return;
	default: /* it takes our credential and judges our notifications */
		note_success(lane);
		break;
	}
	finish(job);
}

/* An answer came: judges it, and adapts the connection to it. */
static void take_answer(struct job *job, struct connection *connection)
{
	struct lane *lane = job->lane;
	struct provider_answer answer = {
		.status = job->call.status,
		.body = job->call.response,
		.body_len = job->call.response_len,
	};

	for (size_t i = 0; i < PROVIDER_WANTED_MAX && lane->kind->wanted[i] != NULL; i++)
		answer.wanted[i] = http_response_header(&job->call, lane->kind->wanted[i]);
	if (answer.status / 100 != 2)
		answer.retry_after = http_response_header(&job->call, "retry-after");
	lane->kind->judge(&answer, &job->judgement);
	if (job->judgement.verdict == VERDICT_SENT)
		connection_widen(connection);
	else if (job->judgement.reset_window)
		connection_narrow(connection);
	if (job->judgement.pause_provider)
		pacer_pause(lane->pacer, (uint64_t)job->judgement.retry_after_ms);
	if (!job->judgement.reconnect)
		return;
	pool_replace(&lane->pool, connection);
	/* Or each of them would cost a new connection. */
	if (job->judgement.verdict == VERDICT_TRANSIENT)
		strike(lane, job->judgement.reason);
}

/* Once a second is enough, since all that is on a connection fails with it. */
static void warn_failure(const struct job *job, const char *reason)
{
	struct lane *lane = job->lane;
	uint64_t now_ms = loop_now_ms();

	if (now_ms - lane->warned_ms < 1000)
		return;
	lane->warned_ms = now_ms;
	log_warn("provider-failed provider=%s id=%s reason=%s error=\"%s\"", lane->provider->id,
	         job->id, reason, job->call.error);
}

/* No answer came. Only where nothing was sent it is certain that nothing was processed. */
static void take_failure(struct job *job, struct connection *connection)
{
	struct lane *lane = job->lane;
	const char *reason = http_failure_name(job->call.failure);

	job_judge(job, VERDICT_UNKNOWN, reason);
	warn_failure(job, reason);
	connection_narrow(connection);
	switch (job->call.failure) {
	case HTTP_UNREACHABLE:
		job->judgement.verdict = VERDICT_UNREACHABLE;
		strike(lane, reason);
		break;
	case HTTP_REFUSED:
		job->judgement.verdict = VERDICT_TRANSIENT;
		strike(lane, reason);
		break;
	case HTTP_BROKEN:
		strike(lane, reason);
		break;
	case HTTP_NOT_H2:
	case HTTP_UNTRUSTED:
		job->judgement.verdict = VERDICT_UNREACHABLE;
		open_breaker(lane, BREAKER_UNREACHABLE, reason);
		break;
	case HTTP_TIMED_OUT:
		pool_replace(&lane->pool, connection);
		break;
	default:
		break;
	}
}

static void send_queued(struct lane *lane);

static void on_done(struct http_call *call)
{
	struct job *job = container_of(call, struct job, call);
	struct lane *lane = job->lane;
	struct connection *connection = job->connection;
	uint64_t duration_ns = loop_now_ns() - job->sent_ns;

	job->connection = NULL;
	connection_settled(connection, call);
	/* The status counts, also where more is said with it than we read. */
	if (call->failure == HTTP_OK || call->failure == HTTP_TOO_LARGE)
		take_answer(job, connection);
	else
		take_failure(job, connection);
	counters_request(lane->provider, &job->judgement, duration_ns);
	http_release(call);
	task_start(&lane->pump);
	react(job);
	/* Answers come in crowds: each makes room for one, which takes over what is at hand. */
	send_queued(lane);
}

/* ---- sending ---- */

static void transmit(struct job *job, struct connection *connection, const char *bearer)
{
	if (job_build(job, job->lane->kind, &job->lane->settings, bearer) != 0) {
		fail(job, VERDICT_REJECTED, "payload-too-large");
		return;
	}
	queue_remove(&job->lane->queue, &job->link);
	job->attempts++;
	job->connection = connection;
	job->version = job->lane->version;
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

/* What says who we are: a bearer token, or the connections' certificate (NULL). False: neither. */
static bool find_bearer(struct lane *lane, const char **bearer, unsigned *generation)
{
	static const struct {
		enum breaker_fault fault;
		const char *reason; /* NULL: it is coming */
	} lacks[] = {
		[CREDENTIAL_WAITING] = { .reason = NULL },
		[CREDENTIAL_FAILED] = { BREAKER_CREDENTIAL, "no-bearer-token" },
		[CREDENTIAL_UNREACHABLE] = { BREAKER_UNREACHABLE, "no-bearer-token" },
		[CREDENTIAL_ABSENT] = { BREAKER_CREDENTIAL, "no-credential" },
		[CREDENTIAL_INVALID] = { BREAKER_CREDENTIAL, "credential-not-valid" },
	};
	enum credential_state state;

	*bearer = credential_bearer(lane->credential, lane->endpoint, generation);
	state = *bearer != NULL ? CREDENTIAL_READY
	                        : credential_state(lane->credential, lane->endpoint);
	if (state == CREDENTIAL_READY)
		return true;
	if (lacks[state].reason != NULL) {
		lane->lacking = true;
		open_breaker(lane, lacks[state].fault, lacks[state].reason);
	}
	return false;
}

/* Sends the first in the queue if it may go now; false when nothing can. */
static bool send_next(struct lane *lane)
{
	struct job *job = first_job(lane);
	struct connection *connection;
	const char *bearer;

	if (job == NULL || breaker_pausing(&lane->breaker))
		return false;
	connection = pool_choose(&lane->pool, breaker_probing(&lane->breaker));
	if (connection == NULL || !find_bearer(lane, &bearer, &job->generation) ||
	    !pacer_take(lane->pacer))
		return false;
	transmit(job, connection, bearer);
	return true;
}

static void send_queued(struct lane *lane)
{
	while (!lane->breaker.open && send_next(lane))
		;
}

static void on_pump(struct task *task)
{
	struct lane *lane = container_of(task, struct lane, pump);
	struct job *job;

	pool_sweep(&lane->pool);
	send_queued(lane);
	while (lane->breaker.open && (job = first_job(lane)) != NULL)
		fail(job,
		     lane->breaker.fault == BREAKER_CREDENTIAL ? VERDICT_CREDENTIAL
		                                               : VERDICT_UNREACHABLE,
		     "provider-open");
}

/* ---- the lane itself ---- */

/* What the credential says of requests and connections. */
static struct http_pool_options heed_credential(struct lane *lane)
{
	const struct conf_provider *provider = lane->provider;
	const struct material *material = credential_material(lane->credential);

	lane->version = credential_version(lane->credential);
	lane->settings = (struct provider_settings){
		.endpoint = lane->endpoint,
		.own = conf_own(provider),
		.material = material,
		.expiry_s = provider->expiry_ms / 1000,
	};
	return (struct http_pool_options){
		.streams = lane->kind->streams_max,
		.ca_file = provider->ca_file,
		.proxy = provider->http_proxy,
		.certificate = material != NULL ? material->certificate : NULL,
		.key = material != NULL ? material->tls_key : NULL,
	};
}

void lane_start(struct lane *lane)
{
	struct http_pool_options options = heed_credential(lane);

	queue_init(&lane->queue);
	pool_init(&lane->pool, (size_t)lane->provider->pool_size, &options);
	lane->breaker.passed = on_passed;
	breaker_init(&lane->breaker);
	lane->pump.run = on_pump;
}

void lane_stop(struct lane *lane)
{
	assert(first_job(lane) == NULL);
	task_stop(&lane->pump);
	breaker_release(&lane->breaker);
	pool_release(&lane->pool);
}

void lane_submit(struct lane *lane, struct job *job)
{
	job->lane = lane;
	job->again.expired = on_again;
	queue_add(&lane->queue, &job->link, job->priority);
	task_start(&lane->pump);
}

void lane_cancel(struct job *job)
{
	queue_remove(&job->lane->queue, &job->link);
	timer_stop(&job->again);
	if (job->connection != NULL) {
		http_release(&job->call);
		connection_settled(job->connection, &job->call);
		task_start(&job->lane->pump);
		job->connection = NULL;
	}
	arena_release(&job->arena);
}

void lane_wake(struct lane *lane)
{
	task_start(&lane->pump);
}

void lane_renew(struct lane *lane)
{
	if (lane->version != credential_version(lane->credential)) {
		struct http_pool_options options = heed_credential(lane);

		pool_renew(&lane->pool, &options);
		breaker_retry(&lane->breaker);
	}
	if (lane->lacking &&
	    credential_state(lane->credential, lane->endpoint) == CREDENTIAL_READY) {
		lane->lacking = false;
		breaker_retry(&lane->breaker);
	}
	task_start(&lane->pump);
}

unsigned lane_room(const struct lane *lane)
{
	unsigned room, pace = pacer_room(lane->pacer);

	if (breaker_pausing(&lane->breaker))
		return 0;
	room = pool_room(&lane->pool, breaker_probing(&lane->breaker));
	if (room > pace)
		room = pace;
	return room > lane->queue.count ? room - (unsigned)lane->queue.count : 0;
}
