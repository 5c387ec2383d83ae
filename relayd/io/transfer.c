#include "relayd/io/transfer.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "relayd/conf.h"
#include "relayd/io/half.h"
#include "relayd/quota/quota.h"
#include "relayd/stream/bridge.h"
#include "relayd/stream/record.h"
#include "relayd/stream/stream.h"

#define LINGER_MS 60000     /* without progress, after one direction has ended */
#define OWNER_GONE_MS 75000 /* more than LINGER_MS, by which every relay keeps */
#define FLUSH_POLL_MS 20    /* the kernel doesn't tell when a socket's last byte was acknowledged */
#define FLUSH_PATIENCE_MS 60000 /* without any acknowledgement */
#define FAREWELL_MS 2000 /* for clients to take note of an end, before a close that may reset */

static struct deadline_queue idle_queue;
static struct deadline_queue linger_queue;
static struct deadline_queue flush_queue;
static struct deadline_queue bridge_queue;

static uint64_t moved(const struct stream *stream)
{
	const struct flow *a = &stream->halves[0]->flow, *b = &stream->halves[1]->flow;

	return a->received + a->delivered + b->received + b->delivered;
}

static bool is_over(const struct half *half)
{
	return half->flow.state == FLOW_ENDED || half->flow.state == FLOW_SOURCE_FAILED;
}

/* The connection of HALVES[side] has failed, as a source or as a sink. */
static bool is_broken(const struct stream *stream, unsigned side)
{
	const struct flow *flow = &stream->halves[side]->flow;

	return flow->source_broken || flow->state == FLOW_SOURCE_FAILED;
}

static enum stream_reason reason_of(const struct stream *stream)
{
	for (int side = 0; side < 2; side++) {
		int error = stream->halves[side]->flow.error;

		if (error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH)
			return STREAM_PEER_LOST;
	}
	return STREAM_RESET;
}

/* A connection that is gone for good; the kernel still counts what it never got acknowledged. */
static bool is_closed(const struct half *half)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return getsockopt(half->io.fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       info.tcpi_state == TCP_CLOSE;
}

/* Bytes that went into the socket and that the client's kernel has not acknowledged yet. */
static uint32_t unacknowledged(const struct half *half)
{
	int bytes = 0;

	if (is_closed(half) || ioctl(half->io.fd, SIOCOUTQ, &bytes) != 0)
		return 0;
	return (uint32_t)bytes;
}

/* The half has failed: its end is none, and what was meant for it is dropped. */
static void give_half_up(struct stream *stream, unsigned side)
{
	stream->broken_by = (uint8_t)reason_of(stream);
	stream_enter(stream, STREAM_DRAINING);
	stream->halves[side]->flow.source_broken = true;
	stream->halves[side]->flow.readable = true;
	pump_abandon(&stream->halves[!side]->flow);
	deadline_start(&linger_queue, &stream->deadline);
	task_start(&stream->task);
}

/*
 * Goes on after a failure: what HALVES[side] had sent is read to its end and delivered, then the
 * other half's kernel has to acknowledge it, and then that half is reset.
 */
static void flush_half(struct stream *stream, unsigned side, bool progressed)
{
	if (stream->broken_by == 0)
		give_half_up(stream, side);
	else if (progressed)
		deadline_start(&linger_queue, &stream->deadline);
	if (stream->progress_ms == 0 && is_over(stream->halves[side])) {
		stream->progress_ms = loop_now_ms();
		deadline_start(&flush_queue, &stream->deadline);
	}
}

/*
 * The limit is reached: nothing more is read, what was read is delivered and acknowledged, and then
 * the stream ends. What is meant for a half that has failed meanwhile is dropped.
 */
static void finish_cut_off(struct stream *stream, bool progressed)
{
	bool open = false;

	for (unsigned side = 0; side < 2; side++) {
		struct flow *to_it = &stream->halves[!side]->flow;

		if (is_broken(stream, side)) {
			stream->halves[side]->flow.source_broken = true;
			pump_abandon(to_it);
		}
		open |= to_it->state == FLOW_OPEN;
	}
	if (open && progressed) {
		deadline_start(&linger_queue, &stream->deadline);
	} else if (!open && stream->progress_ms == 0) {
		stream->progress_ms = loop_now_ms();
		deadline_start(&flush_queue, &stream->deadline);
	}
}

/*
 * How long nothing may happen is for a bridged stream's owner to say. Only that the owner has ended
 * its direction may also mean that it has closed the connection altogether.
 */
static void expect_progress(struct deadline_queue *queue, struct stream *stream)
{
	if (!stream->bridged)
		deadline_start(queue, &stream->deadline);
	else if (stream->halves[BRIDGE_OWNER]->flow.state == FLOW_ENDED)
		deadline_start(&bridge_queue, &stream->deadline);
}

/* What the state of the flows means for the stream. True: the stream has ended. */
static bool judge(struct stream *stream, bool progressed)
{
	bool broken[2] = { is_broken(stream, 0), is_broken(stream, 1) };
	bool over[2] = { is_over(stream->halves[0]), is_over(stream->halves[1]) };

	if (stream->broken_by == STREAM_OVER_LIMIT) {
		finish_cut_off(stream, progressed);
		return false;
	}
	if (broken[0] && broken[1]) {
		stream_end(stream, reason_of(stream));
		return true;
	}
	if (broken[0] || broken[1]) {
		flush_half(stream, broken[1], progressed);
		return false;
	}
	if (over[0] && over[1]) {
		stream_end(stream, STREAM_COMPLETED);
		return true;
	}
	if ((over[0] || over[1]) && (progressed || stream->state == STREAM_ACTIVE)) {
		stream_enter(stream, STREAM_DRAINING);
		expect_progress(&linger_queue, stream);
	} else if (progressed) {
		expect_progress(&idle_queue, stream);
	}
	return false;
}

static bool is_starving(const struct stream *stream)
{
	return stream->quota != NULL && stream->quota->budget == 0 &&
	       (stream->halves[0]->flow.starving || stream->halves[1]->flow.starving);
}

static void run(struct stream *stream)
{
	uint64_t *budget = stream->quota == NULL ? NULL : &stream->quota->budget;
	uint64_t before = moved(stream);
	bool more = false;

	for (unsigned side = 0; side < 2; side++) {
		struct half *from = stream->halves[side], *to = stream->halves[!side];
		uint64_t delivered = from->flow.delivered;

		more |= pump_run(&from->flow, from->io.fd, to->io.fd, budget);
		stream_count_bytes(stream, side, from->flow.delivered - delivered);
		/* The write took the socket's error with it: a read would see a proper end. */
		if (from->flow.state == FLOW_SINK_FAILED)
			to->flow.source_broken = true;
	}
	if (judge(stream, moved(stream) != before))
		return;
	if (more)
		task_start(&stream->task);
	if (stream->quota != NULL && stream->broken_by != STREAM_OVER_LIMIT)
		quota_spent(stream->quota, is_starving(stream));
}

static void on_task(struct task *task)
{
	run(container_of(task, struct stream, task));
}

static void on_ready(struct io *io, uint32_t events)
{
	struct half *half = container_of(io, struct half, io);
	struct stream *stream = half->stream;
	struct half *other = stream->halves[stream->halves[0] == half];
	bool failed = (events & (EPOLLERR | EPOLLHUP)) != 0;

	/* The half that was being flushed is gone too. */
	if (failed && other->flow.source_broken && is_over(other)) {
		stream_end(stream, stream->broken_by);
		return;
	}
	/*
	 * Nothing is read from a half that has ended, so only the event tells that it is gone
	 * altogether.
	 */
	if (failed && half->flow.state == FLOW_ENDED)
		half->flow.source_broken = true;
	if (failed || (events & (EPOLLIN | EPOLLRDHUP)) != 0)
		half->flow.readable = true;
	if (failed || (events & EPOLLOUT) != 0)
		other->flow.writable = true;
	run(stream);
}

static void on_renewed(struct quota *quota)
{
	task_start(&quota->stream->task);
}

static void on_exhausted(struct quota *quota)
{
	struct stream *stream = quota->stream;

	record_over_limit(stream, &quota->denial);
	stream->broken_by = STREAM_OVER_LIMIT;
	stream->progress_ms = 0;
	stream_enter(stream, STREAM_DRAINING);
	stream->halves[0]->flow.stopped = stream->halves[1]->flow.stopped = true;
	deadline_start(&linger_queue, &stream->deadline);
	task_start(&stream->task);
}

void transfer_start(struct stream *stream)
{
	stream->task.run = on_task;
	if (stream->quota != NULL) {
		stream->quota->renewed = on_renewed;
		stream->quota->exhausted = on_exhausted;
	}
	expect_progress(&idle_queue, stream);
	half_activate(stream->halves[0], on_ready);
	half_activate(stream->halves[1], on_ready);
}

/* Deadlines */

static struct stream *stream_of(struct deadline *deadline)
{
	return container_of(deadline, struct stream, deadline);
}

/*
 * A slow reader whose kernel still empties what we have sent isn't idle, although the pump sees
 * nothing.
 */
static bool is_acknowledging(struct stream *stream)
{
	uint32_t before = stream->unacknowledged;

	stream->unacknowledged =
	        unacknowledged(stream->halves[0]) + unacknowledged(stream->halves[1]);
	return stream->unacknowledged != 0 && stream->unacknowledged != before;
}

/*
 * A stream that pauses for a lease isn't idle, and that Redis is away is not its clients' fault:
 * unless both have gone, and nobody waits for the bytes any more.
 */
static bool is_paused(const struct stream *stream)
{
	return is_starving(stream) &&
	       !(is_closed(stream->halves[0]) && is_closed(stream->halves[1]));
}

static bool holds_bytes(const struct stream *stream)
{
	return stream->halves[0]->flow.pipe != NULL || stream->halves[1]->flow.pipe != NULL;
}

static void idle_expired(struct deadline *deadline)
{
	struct stream *stream = stream_of(deadline);

	if (is_acknowledging(stream) || is_paused(stream))
		deadline_start(&idle_queue, deadline);
	else
		stream_end(stream, STREAM_IDLE);
}

static void linger_expired(struct deadline *deadline)
{
	struct stream *stream = stream_of(deadline);

	if (is_acknowledging(stream) || is_paused(stream))
		deadline_start(&linger_queue, deadline);
	else if (stream->broken_by != 0)
		stream_end(stream, stream->broken_by);
	else
		stream_end(stream, holds_bytes(stream) ? STREAM_IDLE : STREAM_LINGERED);
}

/*
 * Closing over input that nobody has read sends an RST, at which a client's kernel may drop what
 * the client hasn't read yet. So those that were cut off may see the end and close first.
 */
static bool may_take_leave(const struct stream *stream, uint64_t waited_ms)
{
	return stream->broken_by == STREAM_OVER_LIMIT && waited_ms < FAREWELL_MS &&
	       !(is_closed(stream->halves[0]) && is_closed(stream->halves[1]));
}

static void flush_expired(struct deadline *deadline)
{
	struct stream *stream = stream_of(deadline);
	uint32_t before = stream->unacknowledged;
	uint64_t now_ms = loop_now_ms(), waited_ms;

	stream->unacknowledged = 0;
	for (int side = 0; side < 2; side++)
		if (!stream->halves[side]->flow.source_broken)
			stream->unacknowledged += unacknowledged(stream->halves[side]);
	if (stream->unacknowledged != before)
		stream->progress_ms = now_ms;
	waited_ms = now_ms - stream->progress_ms;
	if (stream->unacknowledged == 0 ? may_take_leave(stream, waited_ms)
	                                : waited_ms < FLUSH_PATIENCE_MS)
		deadline_start(&flush_queue, deadline);
	else
		stream_end(stream, stream->broken_by);
}

/* What is on its way to the owner will be acknowledged, or tell by an RST that it is gone. */
static void bridge_expired(struct deadline *deadline)
{
	struct stream *stream = stream_of(deadline);

	if (holds_bytes(stream) || unacknowledged(stream->halves[BRIDGE_OWNER]) != 0)
		deadline_start(&bridge_queue, deadline);
	else
		stream_end(stream, STREAM_LINGERED);
}

static int start_queues(void *config)
{
	const struct relay_conf *conf = config;

	deadline_queue_init(&idle_queue, (uint64_t)conf->idle_timeout_ms, idle_expired);
	deadline_queue_init(&linger_queue,
	                    conf->idle_timeout_ms < LINGER_MS ? (uint64_t)conf->idle_timeout_ms
	                                                      : LINGER_MS,
	                    linger_expired);
	deadline_queue_init(&flush_queue, FLUSH_POLL_MS, flush_expired);
	deadline_queue_init(&bridge_queue, OWNER_GONE_MS, bridge_expired);
	return 0;
}

static void stop_queues(void)
{
	deadline_queue_release(&idle_queue);
	deadline_queue_release(&linger_queue);
	deadline_queue_release(&flush_queue);
	deadline_queue_release(&bridge_queue);
}

const struct daemon_module transfer_module = { "transfers", start_queues, stop_queues };
