/*
 * Pipes to splice through, lent while bytes are in flight. A loan never fails: when descriptors or
 * the kernel's quota of pipe pages run out, smaller pipes are lent, and at last buffers in memory,
 * which are filled and emptied by recv and send. A pipe that is given back with bytes in it is
 * closed, so no byte gets into another stream.
 */
#ifndef OG_RELAYD_IO_PIPE_POOL_H
#define OG_RELAYD_IO_PIPE_POOL_H

#include <stdint.h>
#include <sys/types.h>

#define PIPE_HUGE_BYTES (1024 * 1024)
#define PIPE_LARGE_BYTES (256 * 1024)
#define PIPE_SMALL_BYTES (64 * 1024)
#define PIPE_MEMORY_BYTES (16 * 1024)

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

/*
 * Opens the process's one pool, which takes at most so many DESCRIPTORS and PAGES; with 0 it lends
 * memory alone.
 */
void pipe_pool_open(unsigned descriptors, unsigned pages);

/* Module: bounds from RLIMIT_NOFILE, connection-max and fs.pipe-user-pages-soft. */
extern const struct daemon_module pipe_pool_module;

/* An empty pipe of the largest kind available. */
struct pipe *pipe_take(void);

/* Gives PIPE back; NULL is fine. */
void pipe_give(struct pipe *pipe);

/*
 * Moves at most MOST bytes from the socket FD into PIPE, which must be empty: else EAGAIN could
 * mean either side. Returns as read() does: bytes, 0 at the end of the stream, -1 with errno.
 */
ssize_t pipe_splice_in(struct pipe *pipe, int fd, uint32_t most);

/*
 * Moves the bytes in PIPE to the socket FD. Returns as write() does: bytes, perhaps fewer than
 * held, or -1 with errno.
 */
ssize_t pipe_splice_out(struct pipe *pipe, int fd);

#endif
