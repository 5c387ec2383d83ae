#include "relayd/io/pair.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "relayd/conf.h"
#include "relayd/io/throttle.h"

#define LINGER_MS 60000      /* half-closed, failed, stopped: without progress */
#define REMOTE_GONE_MS 75000 /* more than LINGER_MS, which the other relay keeps to */
#define FLUSH_POLL_MS 20     /* the kernel doesn't tell when a socket's last byte is acknowledged */
#define FLUSH_PATIENCE_MS 60000 /* without any acknowledgement */
#define ENDING_MOST_MS 600000   /* failed or stopped, with whatever progress */

#define DISCARD_MOST_BYTES (16 * 1024 * 1024) /* of what clients send to a pair that is ending */
#define DISCARD_TURN_BYTES (1024 * 1024)
#define IDLEST_TRIES 8 /* pairs that are looked at to make room */

static struct deadline_queue idle_queue;
static struct deadline_queue linger_queue;
static struct deadline_queue flush_queue;
static struct deadline_queue remote_queue;

#define REASON_NAME(constant, text, reset) [constant] = text,
#define REASON_RESETS(constant, text, reset) [constant] = reset,
const char *const reason_names[] = { REASONS(REASON_NAME) };
static const bool reason_resets[] = { REASONS(REASON_RESETS) };

#define STATE_NAME(constant, text) [constant] = text,
static const char *const state_names[] = { PAIR_STATES(STATE_NAME) };

/* What a state makes of the flows after they have run. True: the pair has ended. */
static bool judge_open(struct pair *pair, bool progressed);
static bool judge_failed(struct pair *pair, bool progressed);
static bool judge_flushing(struct pair *pair, bool progressed);
static bool judge_stopped(struct pair *pair, bool progressed);
static bool judge_cutting(struct pair *pair, bool progressed);

static bool (*const judges[PAIR_STATE_COUNT])(struct pair *pair, bool progressed) = {
	[PAIR_OPEN] = judge_open,       [PAIR_HALF_CLOSED] = judge_open,
	[PAIR_FAILED] = judge_failed,   [PAIR_FLUSHING] = judge_flushing,
	[PAIR_STOPPED] = judge_stopped, [PAIR_CUTTING] = judge_cutting,
};

/*
 * Where the deadline waits while nothing moves; NULL: nowhere. Where the other relay decides, only
 * the end of its direction counts: it may also mean that it has closed the connection altogether.
 */
static const struct patience {
	struct deadline_queue *open;
	struct deadline_queue *half_closed[2]; /* by the connection that has ended */
} patiences[] = {
	[PAIR_TIMING_OWN] = { &idle_queue, { &linger_queue, &linger_queue } },
	[PAIR_TIMING_REMOTE] = { NULL, { NULL, &remote_queue } },
};

static void enter(struct pair *pair, enum pair_state state)
{
	bool was_open = pair->state == PAIR_OPEN;

	log_debug("pair fds=%d,%d from=%s to=%s", pair->conns[0]->io.fd, pair->conns[1]->io.fd,
	          state_names[pair->state], state_names[state]);
	pair->state = (uint8_t)state;
	if (was_open)
		pair->kind->closing(pair);
}

static bool end(struct pair *pair, enum reason reason)
{
	pair->kind->ended(pair, reason);
	return true;
}

/* Places */

void pair_seat(struct pair *pair, struct conn *conn)
{
	pair->conns[pair->conns[0] != NULL] = conn;
	conn->pair = pair;
}

void pair_unseat(struct conn *conn)
{
	struct pair *pair = conn->pair;

	pair->conns[pair->conns[1] == conn] = NULL;
	conn->pair = NULL;
}

void pair_leave(struct conn *conn, enum reason reason)
{
	conn->pair->kind->left(conn->pair, conn, reason);
}

/* The pair was started, and conns[SIDE] wasn't sent the end of the other one's bytes. */
static bool misses_the_end(const struct pair *pair, unsigned side)
{
	return pair->state != PAIR_WAITING && pair->conns[!side]->flow.state != FLOW_ENDED;
}

void pair_close(struct pair *pair, enum reason reason)
{
	bool resets[2];

	task_stop(&pair->task);
	deadline_stop(&pair->deadline);
	throttle_free(pair->throttle);
	pair->throttle = NULL;
	for (unsigned side = 0; side < 2; side++)
		resets[side] = reason_resets[reason] || misses_the_end(pair, side);
	for (unsigned side = 0; side < 2; side++) {
		struct conn *conn = pair->conns[side];

		if (conn == NULL)
			continue;
		pair_unseat(conn);
		conn_close(conn, resets[side]);
	}
}

/* What the flows and the sockets say */

static uint64_t moved(const struct pair *pair)
{
	const struct flow *a = &pair->conns[0]->flow, *b = &pair->conns[1]->flow;

	return a->received + a->delivered + b->received + b->delivered;
}

static uint64_t received_by(const struct pair *pair)
{
	return pair->conns[0]->flow.received + pair->conns[1]->flow.received;
}

/* Nothing more comes from CONN, and what came was delivered. */
static bool is_over(const struct conn *conn)
{
	return conn->flow.state == FLOW_ENDED || conn->flow.state == FLOW_SOURCE_FAILED;
}

/* The connection has failed, as a source or as a sink. */
static bool is_broken(const struct conn *conn)
{
	return conn->flow.source_broken || conn->flow.state == FLOW_SOURCE_FAILED;
}

static enum reason failure(const struct pair *pair)
{
	for (int side = 0; side < 2; side++) {
		int error = pair->conns[side]->flow.error;

		if (error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH)
			return REASON_UNREACHABLE;
	}
	return REASON_RESET;
}

/*
 * The connection is gone for good; the kernel still counts the bytes that were never acknowledged.
 */
static bool is_closed(const struct conn *conn)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return getsockopt(conn->io.fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       info.tcpi_state == TCP_CLOSE;
}

static bool both_closed(const struct pair *pair)
{
	return is_closed(pair->conns[0]) && is_closed(pair->conns[1]);
}

/* Bytes that went into the socket and that the other end's kernel has not acknowledged yet. */
static uint32_t unacknowledged(const struct conn *conn)
{
	int bytes = 0;

	if (is_closed(conn) || ioctl(conn->io.fd, SIOCOUTQ, &bytes) != 0)
		return 0;
	return (uint32_t)bytes;
}

/* Bytes wait that may not be read now. */
static bool some_wait(const struct pair *pair)
{
	return pair->conns[0]->flow.starving || pair->conns[1]->flow.starving;
}

static bool is_starving(const struct pair *pair)
{
	return pair->budget != NULL && *pair->budget == 0 && some_wait(pair);
}

static bool holds_bytes(const struct pair *pair)
{
	return pair->conns[0]->flow.pipe != NULL || pair->conns[1]->flow.pipe != NULL;
}

/* Judging */

static void wait_in(struct pair *pair, struct deadline_queue *queue)
{
	if (queue != NULL)
		deadline_start(queue, &pair->deadline);
}

/* PAIR is ending, and what was read still has time to arrive. */
static bool is_in_time(const struct pair *pair)
{
	return loop_now_ms() - pair->ending_ms < ENDING_MOST_MS;
}

/* Everything is delivered: from now on acknowledgements are waited for. */
static void flush(struct pair *pair, enum pair_state state)
{
	enter(pair, state);
	pair->progress_ms = loop_now_ms();
	deadline_start(&flush_queue, &pair->deadline);
}

/* conns[SIDE] has failed: the end of its input is an error, and bytes for it are discarded. */
static void fail(struct pair *pair, unsigned side)
{
	struct flow *from = &pair->conns[side]->flow;

	pair->reason = (uint8_t)failure(pair);
	pair->ending_ms = loop_now_ms();
	enter(pair, PAIR_FAILED);
	from->source_broken = true;
	from->readable = true;
	pump_abandon(&pair->conns[!side]->flow);
	deadline_start(&linger_queue, &pair->deadline);
	task_start(&pair->task);
}

static bool judge_open(struct pair *pair, bool progressed)
{
	const struct patience *patience = &patiences[pair->kind->timing];
	bool broken[2] = { is_broken(pair->conns[0]), is_broken(pair->conns[1]) };
	bool over[2] = { is_over(pair->conns[0]), is_over(pair->conns[1]) };

	if (broken[0] && broken[1])
		return end(pair, failure(pair));
	if (broken[0] || broken[1]) {
		fail(pair, broken[1]);
		return judge_failed(pair, false);
	}
	if (over[0] && over[1])
		return end(pair, REASON_COMPLETED);
	if ((over[0] || over[1]) && (progressed || pair->state == PAIR_OPEN)) {
		if (pair->state == PAIR_OPEN)
			enter(pair, PAIR_HALF_CLOSED);
		wait_in(pair, patience->half_closed[over[1]]);
	} else if (progressed) {
		wait_in(pair, patience->open);
	}
	return false;
}

static bool judge_failed(struct pair *pair, bool progressed)
{
	bool broken[2] = { is_broken(pair->conns[0]), is_broken(pair->conns[1]) };

	if (broken[0] && broken[1])
		return end(pair, failure(pair));
	if (is_over(pair->conns[broken[1]]))
		flush(pair, PAIR_FLUSHING);
	else if (progressed && is_in_time(pair))
		deadline_start(&linger_queue, &pair->deadline);
	return false;
}

static bool judge_flushing(struct pair *pair, bool progressed)
{
	if (is_broken(pair->conns[0]) && is_broken(pair->conns[1]))
		return end(pair, failure(pair));
	return false;
}

/* Bytes for a connection that fails meanwhile are discarded. */
static bool judge_stopped(struct pair *pair, bool progressed)
{
	bool open = false;

	for (unsigned side = 0; side < 2; side++) {
		struct conn *conn = pair->conns[side];
		struct flow *to_it = &pair->conns[!side]->flow;

		if (is_broken(conn)) {
			conn->flow.source_broken = true;
			pump_abandon(to_it);
		}
		open |= to_it->state == FLOW_OPEN;
	}
	if (!open)
		flush(pair, PAIR_CUTTING);
	else if (progressed && is_in_time(pair))
		deadline_start(&linger_queue, &pair->deadline);
	return false;
}

static bool judge_cutting(struct pair *pair, bool progressed)
{
	return false;
}

/* Running */

static bool is_stopped(const struct pair *pair)
{
	return pair->state == PAIR_STOPPED || pair->state == PAIR_CUTTING;
}

/*
 * Failed or stopped: what was read is delivered, then the pair ends. Nothing more is read to be
 * relayed, but from the broken connection of a failed pair.
 */
static bool is_ending(const struct pair *pair)
{
	return is_stopped(pair) || pair->state == PAIR_FAILED || pair->state == PAIR_FLUSHING;
}

/* conns[SIDE] is there and has still to take bytes, or to acknowledge them. */
static bool is_owed(const struct pair *pair, unsigned side)
{
	const struct conn *conn = pair->conns[side];

	return !conn->flow.source_broken &&
	       (pair->conns[!side]->flow.state == FLOW_OPEN || unacknowledged(conn) > 0);
}

/*
 * A client that doesn't read before all its own bytes have gone would never take what it is owed
 * from a pair that reads no more. So what it sends is read and discarded. True: there may be more.
 */
static bool discard(struct pair *pair, unsigned side)
{
	struct conn *conn = pair->conns[side];
	bool may_relay = conn->flow.state == FLOW_OPEN && !conn->flow.stopped;
	uint32_t turn = 0;

	if (may_relay || conn->flow.state == FLOW_ENDED || !is_owed(pair, side))
		return false;
	while (conn->flow.readable && pair->discarded < DISCARD_MOST_BYTES) {
		ssize_t n = conn_read(conn->io.fd, NULL, DISCARD_TURN_BYTES);

		if (n <= 0) {
			conn->flow.readable = false;
			return false;
		}
		pair->discarded += (uint32_t)n;
		turn += (uint32_t)n;
		if (turn >= DISCARD_TURN_BYTES)
			return true;
	}
	return false;
}

/* The bytes that may be read now (NULL: any number): the budget, or *ALLOWED where rates hold. */
static uint64_t *find_budget(struct pair *pair, uint64_t *allowed)
{
	if (pair->throttle == NULL && throttle_has_rates() && pair->kind->find_buckets != NULL) {
		struct bucket *users[2] = { NULL, NULL };

		pair->kind->find_buckets(pair, users);
		pair->throttle = throttle_new(&pair->task, users);
	}
	if (pair->throttle == NULL)
		return pair->budget;
	*allowed = throttle_allows(pair->throttle);
	if (pair->budget != NULL && *pair->budget < *allowed)
		*allowed = *pair->budget;
	return allowed;
}

/* BYTES were read where rates are set. True: more may be read in a later turn. */
static bool charge_rates(struct pair *pair, uint64_t bytes)
{
	throttle_spend(pair->throttle, bytes);
	if (pair->budget != NULL)
		*pair->budget -= bytes;
	pair->second_first = !pair->second_first;
	return some_wait(pair) && !is_starving(pair) && !is_stopped(pair) &&
	       !throttle_wait(pair->throttle);
}

static void run(struct pair *pair)
{
	uint64_t before = moved(pair), received = received_by(pair), allowed;
	uint64_t *budget = find_budget(pair, &allowed);
	bool more = false;

	for (unsigned n = 0; n < 2; n++) {
		unsigned side = n ^ pair->second_first;
		struct conn *from = pair->conns[side], *to = pair->conns[!side];
		uint64_t delivered = from->flow.delivered;

		more |= pump_run(&from->flow, from->io.fd, to->io.fd, budget);
		metric_add(pair->kind->bytes, side, (int64_t)(from->flow.delivered - delivered));
		/* The write took the socket's error with it: a read would see a proper end. */
		if (from->flow.state == FLOW_SINK_FAILED)
			to->flow.source_broken = true;
	}
	if (pair->throttle != NULL)
		more |= charge_rates(pair, received_by(pair) - received);
	for (unsigned side = 0; side < 2 && is_ending(pair); side++)
		more |= discard(pair, side);
	if (judges[pair->state](pair, moved(pair) != before))
		return;
	if (more)
		task_start(&pair->task);
	if (pair->budget != NULL && !is_stopped(pair))
		pair->kind->spent(pair, is_starving(pair));
}

static void on_task(struct task *task)
{
	run(container_of(task, struct pair, task));
}

/*
 * A hang-up alone is no failure: the kernel reports one as soon as both directions of a connection
 * have ended, though the other end may still have to take bytes.
 */
static bool has_failed(const struct conn *conn, uint32_t events)
{
	return (events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && is_closed(conn));
}

static void on_ready(struct io *io, uint32_t events)
{
	struct conn *conn = container_of(io, struct conn, io);
	struct pair *pair = conn->pair;
	struct conn *other = pair->conns[pair->conns[0] == conn];
	bool failed = has_failed(conn, events);

	/* The connection that was being flushed is gone too. */
	if (failed && other->flow.source_broken && is_over(other)) {
		(void)end(pair, pair->reason);
		return;
	}
	/* Nothing is read from a connection that has ended: only the event tells of its failure. */
	if (failed && (conn->flow.state == FLOW_ENDED || conn->flow.state == FLOW_STOPPED))
		conn->flow.source_broken = true;
	if (failed || (events & (EPOLLIN | EPOLLRDHUP)) != 0)
		conn->flow.readable = true;
	if (failed || (events & EPOLLOUT) != 0)
		other->flow.writable = true;
	run(pair);
}

void pair_start(struct pair *pair)
{
	pair->task.run = on_task;
	enter(pair, PAIR_OPEN);
	wait_in(pair, patiences[pair->kind->timing].open);
	conn_activate(pair->conns[0], on_ready);
	conn_activate(pair->conns[1], on_ready);
}

void pair_resume(struct pair *pair)
{
	task_start(&pair->task);
}

void pair_stop(struct pair *pair, enum reason reason)
{
	pair->reason = (uint8_t)reason;
	pair->ending_ms = loop_now_ms();
	enter(pair, PAIR_STOPPED);
	pair->conns[0]->flow.stopped = pair->conns[1]->flow.stopped = true;
	deadline_start(&linger_queue, &pair->deadline);
	task_start(&pair->task);
}

/* Deadlines */

static struct pair *pair_of(struct deadline *deadline)
{
	return container_of(deadline, struct pair, deadline);
}

/* While a slow reader's kernel takes what was sent, a pair isn't idle: the pump sees nothing. */
static bool is_acknowledging(struct pair *pair)
{
	uint32_t before = pair->unacknowledged;

	pair->unacknowledged = unacknowledged(pair->conns[0]) + unacknowledged(pair->conns[1]);
	return pair->unacknowledged != 0 && pair->unacknowledged != before;
}

/*
 * A pair that waits for budget or for a rate isn't idle, since its clients can't help that Redis is
 * away; unless both clients have gone, and nobody waits for the bytes any more. A stopped one waits
 * for none.
 */
static bool is_paused(const struct pair *pair)
{
	return (is_starving(pair) || throttle_waits(pair->throttle)) && !is_stopped(pair) &&
	       !both_closed(pair);
}

/* What was read is still arriving, and for not too long. */
static bool is_arriving(struct pair *pair)
{
	return is_acknowledging(pair) && (!is_ending(pair) || is_in_time(pair));
}

static void idle_expired(struct deadline *deadline)
{
	struct pair *pair = pair_of(deadline);

	if (is_acknowledging(pair) || is_paused(pair))
		deadline_start(&idle_queue, deadline);
	else
		(void)end(pair, REASON_IDLE);
}

bool pair_end_idlest(uint64_t least_ms)
{
	uint64_t rest_ms = idle_queue.delay_ms > least_ms ? idle_queue.delay_ms - least_ms : 0;

	for (int n = 0; n < IDLEST_TRIES; n++) {
		struct list_link *link = list_first(&idle_queue.waiting);
		struct deadline *deadline;

		if (link == NULL)
			return false;
		deadline = container_of(link, struct deadline, link);
		if (deadline->due_ms > loop_now_ms() + rest_ms)
			return false;
		if (!is_acknowledging(pair_of(deadline)) && !is_paused(pair_of(deadline)))
			return end(pair_of(deadline), REASON_IDLE);
		deadline_start(&idle_queue, deadline);
	}
	return false;
}

static void linger_expired(struct deadline *deadline)
{
	struct pair *pair = pair_of(deadline);

	if (is_arriving(pair) || is_paused(pair))
		deadline_start(&linger_queue, deadline);
	else if (is_ending(pair))
		(void)end(pair, pair->reason);
	else
		(void)end(pair, holds_bytes(pair) ? REASON_IDLE : REASON_LINGER_TIMEOUT);
}

static void flush_expired(struct deadline *deadline)
{
	struct pair *pair = pair_of(deadline);
	uint32_t before = pair->unacknowledged;
	uint64_t now_ms = loop_now_ms();

	pair->unacknowledged = 0;
	for (int side = 0; side < 2; side++)
		if (!pair->conns[side]->flow.source_broken)
			pair->unacknowledged += unacknowledged(pair->conns[side]);
	if (pair->unacknowledged != before)
		pair->progress_ms = now_ms;
	if (pair->unacknowledged > 0 && is_in_time(pair) &&
	    now_ms - pair->progress_ms < FLUSH_PATIENCE_MS)
		deadline_start(&flush_queue, deadline);
	else
		(void)end(pair, pair->reason);
}

/* Bytes on their way to the other relay will be acknowledged, or answered by an RST. */
static void remote_expired(struct deadline *deadline)
{
	struct pair *pair = pair_of(deadline);

	if (holds_bytes(pair) || unacknowledged(pair->conns[1]) != 0)
		deadline_start(&remote_queue, deadline);
	else
		(void)end(pair, REASON_LINGER_TIMEOUT);
}

static int start(void *config)
{
	const struct relay_conf *conf = config;
	uint64_t idle_ms = (uint64_t)conf->idle_timeout_ms;

	throttle_start(conf);
	deadline_queue_init(&idle_queue, idle_ms, idle_expired);
	deadline_queue_init(&linger_queue, idle_ms < LINGER_MS ? idle_ms : LINGER_MS,
	                    linger_expired);
	deadline_queue_init(&flush_queue, FLUSH_POLL_MS, flush_expired);
	deadline_queue_init(&remote_queue, REMOTE_GONE_MS, remote_expired);
	return 0;
}

static void stop(void)
{
	deadline_queue_release(&idle_queue);
	deadline_queue_release(&linger_queue);
	deadline_queue_release(&flush_queue);
	deadline_queue_release(&remote_queue);
	throttle_stop();
}

const struct daemon_module pair_module = { "pairs", start, stop };
