#include "relayd/io/pump.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "relayd/io/pipe_pool.h"

#define ROUNDS 8 /* reads in one run: at most 8 MiB before others get their turn */
#define CHUNK_LEAST PIPE_SMALL_BYTES

/* What a read or a write leads to. */
enum step {
	STEP_ON,    /* there is more to do */
	STEP_WAITS, /* a socket blocks, or the flow is over */
};

/* Gathering */

struct gather {
	struct list_link link;
	struct flow *flow;
	int source;
	uint64_t received; /* of the flow, when it was last looked at */
};

static struct list gathered = { { &gathered.head, &gathered.head } };

static void end_pauses(struct timer *timer);
static struct timer pause_timer = { .expired = end_pauses };

/* A socket without this option is just not gathered. */
static void set_low_water(int source, int bytes)
{
	(void)setsockopt(source, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

/* Doesn't touch the source, which may be closed. */
static void forget_gather(struct flow *flow)
{
	if (flow->gather == NULL)
		return;
	list_remove(&flow->gather->link);
	free(flow->gather);
	flow->gather = NULL;
	if (list_empty(&gathered))
		timer_stop(&pause_timer);
}

/* FLOW, whose SOURCE is empty for now, has read BURST bytes since it was woken. */
static void gather_if_fast(struct flow *flow, int source, uint64_t burst)
{
	struct gather *gather = flow->gather;

	if (gather != NULL || burst < GATHER_BURST_BYTES)
		return;
	gather = flow->gather = mem_alloc(1, sizeof(*gather));
	gather->flow = flow;
	gather->source = source;
	gather->received = flow->received;
	if (list_empty(&gathered))
		timer_start(&pause_timer, GATHER_PAUSE_MS);
	list_append(&gathered, &gather->link);
	set_low_water(source, GATHER_LEAST_BYTES);
}

static void end_pauses(struct timer *timer)
{
	list_for_each (link, &gathered) {
		struct gather *gather = container_of(link, struct gather, link);

		if (gather->received != gather->flow->received) {
			gather->received = gather->flow->received;
			continue;
		}
		/* This makes the kernel report what it has collected. */
		set_low_water(gather->source, 1);
		forget_gather(gather->flow);
	}
	if (!list_empty(&gathered))
		timer_start(timer, GATHER_PAUSE_MS);
}

/* Pumping */

static enum step end_flow(struct flow *flow, enum flow_state state, int error)
{
	flow->state = (uint8_t)state;
	flow->error = (uint16_t)error;
	forget_gather(flow);
	pipe_give(flow->pipe);
	flow->pipe = NULL;
	return STEP_WAITS;
}

static enum step source_ended(struct flow *flow, int sink)
{
	if (flow->source_broken)
		return end_flow(flow, FLOW_SOURCE_FAILED, ECONNRESET);
	/* ENOTCONN: the sink is gone already, and the reverse direction reports why. */
	(void)shutdown(sink, SHUT_WR);
	return end_flow(flow, FLOW_ENDED, 0);
}

/* As read(), but without budget bytes stay in the socket, and starving says that they are there. */
static ssize_t read_source(struct flow *flow, int source, uint64_t *budget)
{
	uint32_t most = flow->chunk;
	ssize_t n;
	char first;

	if (budget != NULL && *budget == 0) {
		n = recv(source, &first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);
		flow->starving = n > 0;
		return n;
	}
	flow->starving = false;
	if (flow->pipe == NULL)
		flow->pipe = pipe_take();
	if (budget != NULL && *budget < most)
		most = (uint32_t)*budget;
	n = pipe_splice_in(flow->pipe, source, most);
	if (n > 0)
		flow->received += (uint64_t)n;
	if (n > 0 && budget != NULL)
		*budget -= (uint64_t)n;
	return n;
}

static enum step splice_in(struct flow *flow, int source, int sink, uint64_t *budget)
{
	ssize_t n;

	if (flow->chunk == 0)
		flow->chunk = CHUNK_LEAST;
	n = read_source(flow, source, budget);
	if (n > 0)
		return flow->starving ? STEP_WAITS : STEP_ON;
	if (n == 0)
		return source_ended(flow, sink);
	if (errno == EINTR)
		return STEP_ON;
	if (errno != EAGAIN)
		return end_flow(flow, FLOW_SOURCE_FAILED, errno);
	flow->readable = false;
	return STEP_WAITS;
}

/*
 * A sink that keeps up gets larger chunks; one that blocks gets smaller ones, so a stalled flow
 * parks little.
 */
static void adapt_chunk(struct flow *flow, bool keeps_up)
{
	if (!keeps_up)
		flow->chunk = flow->chunk / 2 > CHUNK_LEAST ? flow->chunk / 2 : CHUNK_LEAST;
	else if (flow->chunk < PIPE_HUGE_BYTES)
		flow->chunk *= 2;
}

static enum step splice_out(struct flow *flow, int sink)
{
	while (flow->pipe != NULL && flow->pipe->held > 0) {
		ssize_t n = pipe_splice_out(flow->pipe, sink);

		if (n > 0) {
			flow->delivered += (uint64_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			flow->writable = false;
			adapt_chunk(flow, false);
			return STEP_WAITS;
		} else if (n == 0 || errno != EINTR) {
			return end_flow(flow, FLOW_SINK_FAILED, n == 0 ? EPIPE : errno);
		}
	}
	adapt_chunk(flow, true);
	return STEP_ON;
}

static enum step round_trip(struct flow *flow, int source, int sink, uint64_t *budget)
{
	bool empty = flow->pipe == NULL || flow->pipe->held == 0;

	if (empty && flow->stopped)
		return source_ended(flow, sink);
	if (!flow->writable || (empty && !flow->readable))
		return STEP_WAITS;
	if (empty && splice_in(flow, source, sink, budget) == STEP_WAITS)
		return STEP_WAITS;
	return splice_out(flow, sink);
}

bool pump_run(struct flow *flow, int source, int sink, uint64_t *budget)
{
	enum step step = STEP_ON;
	uint64_t before = flow->received;

	for (int round = 0; round < ROUNDS && step == STEP_ON; round++)
		step = flow->state == FLOW_OPEN ? round_trip(flow, source, sink, budget)
		                                : STEP_WAITS;
	if (flow->pipe != NULL && flow->pipe->held == 0) {
		pipe_give(flow->pipe);
		flow->pipe = NULL;
	}
	if (flow->state == FLOW_OPEN && !flow->readable)
		gather_if_fast(flow, source, flow->received - before);
	return step == STEP_ON;
}

void pump_abandon(struct flow *flow)
{
	if (flow->state == FLOW_OPEN)
		(void)end_flow(flow, FLOW_SINK_FAILED, ECONNABORTED);
}
