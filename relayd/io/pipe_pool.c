#include "relayd/io/pipe_pool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "relayd/conf.h"

#define PAGE_BYTES 4096
#define IDLE_MAX 32              /* pipes of a tier that are kept for the next loan */
#define QUOTA_PAUSE_MS 1000      /* after the kernel refused a pipe, none is asked for */
#define DESCRIPTORS_ELSEWHERE 64 /* listeners, API, Redis, log, reserve */

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

struct pipe *pipe_take(void)
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

void pipe_give(struct pipe *pipe)
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

ssize_t pipe_splice_in(struct pipe *pipe, int fd, uint32_t most)
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

ssize_t pipe_splice_out(struct pipe *pipe, int fd)
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

void pipe_pool_open(unsigned descriptors, unsigned pages)
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
	pipe_pool_open(spare > 65536 ? 65536 : (unsigned)spare, read_page_quota());
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

const struct daemon_module pipe_pool_module = { "pipes", start, stop };
