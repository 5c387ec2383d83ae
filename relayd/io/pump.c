#include "relayd/io/pump.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "relayd/conf.h"

#define PIPE_HUGE_BYTES (1024 * 1024)
#define PIPE_LARGE_BYTES (256 * 1024)
#define PIPE_SMALL_BYTES (64 * 1024)
#define PIPE_MEMORY_BYTES (16 * 1024)

#define PAGE_BYTES 4096
#define IDLE_MAX 32              /* pipes of a tier that are kept for the next loan */
#define QUOTA_PAUSE_MS 1000      /* after the kernel refused a pipe, none is asked for */
#define DESCRIPTORS_ELSEWHERE 64 /* listeners, API, Redis, log, reserve */
#define ROUNDS 8                 /* reads in one run: at most 8 MiB before others get their turn */
#define CHUNK_LEAST PIPE_SMALL_BYTES

/* Pipes */

/*
 * Pipes to splice through are lent while bytes are in flight. A loan never fails: when descriptors
 * or the kernel's quota of pipe pages run out, smaller pipes are lent, and at last buffers in
 * memory, which are filled and emptied by recv and send.
 */

enum pipe_tier { PIPE_HUGE, PIPE_LARGE, PIPE_SMALL, PIPE_MEMORY, PIPE_TIERS };

struct pipe {
	struct pipe *next; /* in the pool while it isn't lent */
	char *memory;      /* of PIPE_MEMORY, else NULL */
	uint32_t size;     /* most bytes it holds */
	uint32_t held;     /* bytes in it */
	uint32_t start;    /* of PIPE_MEMORY: where they begin */
	int input, output; /* ends of the kernel's pipe */
	enum pipe_tier tier;
};

static const uint32_t tier_bytes[PIPE_TIERS] = {
	[PIPE_HUGE] = PIPE_HUGE_BYTES,
	[PIPE_LARGE] = PIPE_LARGE_BYTES,
	[PIPE_SMALL] = PIPE_SMALL_BYTES,
	[PIPE_MEMORY] = PIPE_MEMORY_BYTES,
};
static const unsigned tier_shares[PIPE_MEMORY] = { 2, 4, 7 }; /* eighths, see affordable() */
static const char *const tier_names[PIPE_TIERS] = { "1m", "256k", "64k", "memory" };

static struct {
	struct pipe *idle[PIPE_TIERS]; /* the last one given first */
	unsigned idle_count[PIPE_TIERS];
	unsigned descriptors, descriptors_max;
	unsigned pages, pages_max;
	uint64_t pause_until_ms;
} pool;

static int64_t lent[PIPE_TIERS];
static struct metric lent_metric = {
	.name = "outrigger_relayd_pipes_lent",
	.help = "Pipes that hold bytes in flight, by kind.",
	.kind = METRIC_GAUGE,
	.label = "kind",
	.values = tier_names,
	.series = PIPE_TIERS,
	.numbers = lent,
};

static unsigned tier_pages(enum pipe_tier tier)
{
	return tier_bytes[tier] / PAGE_BYTES;
}

/*
 * Huge pipes may take a quarter of the pages, large ones half, small ones seven eighths: so many
 * stalled streams get small pipes before one has to do with memory. The rest is left to other
 * processes of the same user.
 */
static bool affordable(enum pipe_tier tier)
{
	return pool.descriptors + 2 <= pool.descriptors_max &&
	       pool.pages + tier_pages(tier) <= (uint64_t)pool.pages_max * tier_shares[tier] / 8;
}

/*
 * Makes FD's pipe at least as large as its kind; false if the kernel gives it less.
 */
static bool sized(int fd, enum pipe_tier tier)
{
	int size = fcntl(fd, F_GETPIPE_SZ);

	if (size < (int)tier_bytes[tier])
		size = fcntl(fd, F_SETPIPE_SZ, (int)tier_bytes[tier]);
	return size >= (int)tier_bytes[tier];
}

static struct pipe *open_pipe(enum pipe_tier tier)
{
	struct pipe *pipe;
	int ends[2];

	if (!affordable(tier) || pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
		return NULL;
	if (!sized(ends[0], tier)) {
		close(ends[0]);
		close(ends[1]);
		return NULL;
	}
	pipe = mem_alloc(1, sizeof(*pipe));
	pipe->output = ends[0];
	pipe->input = ends[1];
	pipe->size = tier_bytes[tier];
	pipe->tier = tier;
	pool.descriptors += 2;
	pool.pages += tier_pages(tier);
	return pipe;
}

static void close_pipe(struct pipe *pipe)
{
	if (pipe->tier != PIPE_MEMORY) {
		close(pipe->output);
		close(pipe->input);
		pool.descriptors -= 2;
		pool.pages -= tier_pages(pipe->tier);
	}
	free(pipe->memory);
	free(pipe);
}

static struct pipe *idle_pipe(enum pipe_tier tier)
{
	struct pipe *pipe = pool.idle[tier];

	if (pipe != NULL) {
		pool.idle[tier] = pipe->next;
		pool.idle_count[tier]--;
	}
	return pipe;
}

/*
 * A kernel pipe, or NULL: then the kernel isn't asked again for a second, since each try costs
 * system calls.
 */
static struct pipe *new_pipe(void)
{
	struct pipe *pipe = NULL;

	if (!affordable(PIPE_SMALL) ||
	    (pool.pause_until_ms != 0 && loop_now_ms() < pool.pause_until_ms))
		return NULL;
	for (int tier = 0; tier < PIPE_MEMORY && pipe == NULL; tier++)
		pipe = open_pipe(tier);
	pool.pause_until_ms = pipe == NULL ? loop_now_ms() + QUOTA_PAUSE_MS : 0;
	return pipe;
}

static struct pipe *memory_pipe(void)
{
	struct pipe *pipe = mem_alloc(1, sizeof(*pipe));

	pipe->memory = mem_alloc(1, PIPE_MEMORY_BYTES);
	pipe->size = PIPE_MEMORY_BYTES;
	pipe->tier = PIPE_MEMORY;
	pipe->input = pipe->output = -1;
	return pipe;
}

/* An empty pipe of the largest kind available. */
static struct pipe *pipe_take(void)
{
	struct pipe *pipe = NULL;

	for (int tier = 0; tier < PIPE_MEMORY && pipe == NULL; tier++)
		pipe = idle_pipe(tier);
	if (pipe == NULL)
		pipe = new_pipe();
	if (pipe == NULL)
		pipe = idle_pipe(PIPE_MEMORY);
	if (pipe == NULL)
		pipe = memory_pipe();
	metric_add(&lent_metric, pipe->tier, 1);
	return pipe;
}

/* NULL is fine. A pipe with bytes in it is closed, so no byte gets into another stream. */
static void pipe_give(struct pipe *pipe)
{
	if (pipe == NULL)
		return;
	metric_add(&lent_metric, pipe->tier, -1);
	if (pipe->held > 0 || pool.idle_count[pipe->tier] == IDLE_MAX) {
		close_pipe(pipe);
		return;
	}
	pool.idle_count[pipe->tier]++;
	pipe->next = pool.idle[pipe->tier];
	pool.idle[pipe->tier] = pipe;
}

/*
 * Moves at most MOST bytes from the socket FD into PIPE, which must be empty: else EAGAIN could
 * mean either side. Returns as read() does: bytes, 0 at the end of the stream, -1 with errno.
 */
static ssize_t pipe_splice_in(struct pipe *pipe, int fd, uint32_t most)
{
	ssize_t n;

	assert(pipe->held == 0);
	if (most > pipe->size)
		most = pipe->size;
	if (pipe->memory != NULL)
		n = recv(fd, pipe->memory, most, MSG_DONTWAIT);
	else
		n = splice(fd, NULL, pipe->input, NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		pipe->held = (uint32_t)n;
		pipe->start = 0;
	}
	return n;
}

/*
 * Moves the bytes in PIPE to the socket FD. Returns as write() does: bytes, perhaps fewer than
 * held, or -1 with errno.
 */
static ssize_t pipe_splice_out(struct pipe *pipe, int fd)
{
	ssize_t n;

	if (pipe->memory != NULL)
		n = send(fd, pipe->memory + pipe->start, pipe->held, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = splice(pipe->output, NULL, fd, NULL, pipe->held,
		           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		pipe->held -= (uint32_t)n;
		pipe->start += (uint32_t)n;
	}
	return n;
}

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

/* What a read or a write leads to. */
enum step {
	STEP_ON,    /* there is more to do */
	STEP_WAITS, /* a socket blocks, or the flow is over */
};

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
		return end_flow(flow, FLOW_STOPPED, 0);
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

/* The module */

/* fs.pipe-user-pages-soft: the pages of one user, beyond which new pipes get two pages. */
static unsigned read_page_quota(void)
{
	unsigned pages = 0;
	FILE *file = fopen("/proc/sys/fs/pipe-user-pages-soft", "re");

	if (file != NULL) {
		if (fscanf(file, "%u", &pages) != 1)
			pages = 0;
		fclose(file);
	}
	return pages == 0 ? 16384 : pages; /* 0: no quota; the kernel's default is used instead */
}

/* The daemon has raised it already. */
static uint64_t descriptor_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

/* At most so many DESCRIPTORS and PAGES are taken; with 0 all pipes are memory. */
static void open_pool(unsigned descriptors, unsigned pages)
{
	pool.descriptors_max = descriptors;
	pool.pages_max = pages;
	metrics_add(&lent_metric);
}

static int start(void *config)
{
	const struct relay_conf *conf = config;
	uint64_t limit = descriptor_limit();
	uint64_t needed = (uint64_t)conf->connection_max + DESCRIPTORS_ELSEWHERE;
	uint64_t spare = limit > needed ? limit - needed : 0;

	if (limit < needed)
		log_warn("descriptor-limit-low limit=%llu needed=%llu", (unsigned long long)limit,
		         (unsigned long long)needed);
	open_pool(spare > 65536 ? 65536 : (unsigned)spare, read_page_quota());
	return 0;
}

static void stop(void)
{
	for (int tier = 0; tier < PIPE_TIERS; tier++) {
		struct pipe *pipe;

		while ((pipe = idle_pipe(tier)) != NULL)
			close_pipe(pipe);
	}
}

const struct daemon_module pump_module = { "pipes", start, stop };
