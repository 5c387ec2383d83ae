/*
 * One direction of a stream: bytes go from one socket to another through a pipe that is held only
 * while bytes are in it. Sockets are non-blocking and watched edge-triggered: the code that gets
 * their events sets readable and writable.
 *
 * The rules that keep every byte: the pipe is filled only when it is empty, so EAGAIN has one
 * meaning, and an end or an error of the source is seen only after everything before it was handed
 * to the sink. Then the end becomes shutdown(SHUT_WR) of the sink, and the other direction goes on
 * by itself.
 *
 * Fast sources are gathered: the kernel would wake relayd for each segment that arrives, so
 * SO_RCVLOWAT lets it collect some first. The source's end and its errors wake relayd as before. A
 * source that pauses stops being gathered within GATHER_PAUSE_MS, so its last bytes wait no longer.
 */
#ifndef OG_RELAYD_IO_PUMP_H
#define OG_RELAYD_IO_PUMP_H

#include <stdbool.h>
#include <stdint.h>

struct gather;
struct pipe;

enum flow_state {
	FLOW_OPEN,
	FLOW_ENDED,         /* the source ended, all was delivered, the sink was told */
	FLOW_STOPPED,       /* stopped, and all that was read was delivered; the sink isn't told */
	FLOW_SOURCE_FAILED, /* all that could be read was delivered; see error */
	FLOW_SINK_FAILED,   /* the sink takes no more; see error */
};

#define GATHER_BURST_BYTES (128 * 1024) /* read since the last wake-up: the source is fast */
#define GATHER_LEAST_BYTES (256 * 1024) /* that have to wait before the next wake-up */
#define GATHER_PAUSE_MS 5

/* All zeros: no byte has moved yet, and nothing can be read or written. */
struct flow {
	struct pipe *pipe;      /* lent; NULL while nothing is in flight */
	struct gather *gather;  /* while the source is fast, owned */
	uint64_t received;      /* bytes read from the source */
	uint64_t delivered;     /* bytes that the sink's socket took */
	uint32_t chunk;         /* most bytes of the next read; 0: not decided yet */
	uint16_t error;         /* errno of a failure */
	uint8_t state;          /* enum flow_state */
	bool readable : 1;      /* the source may have bytes, an end or an error */
	bool writable : 1;      /* the sink may take bytes */
	bool source_broken : 1; /* the source failed as a sink: its end is an error */
	bool starving : 1;      /* bytes wait in the source, but there is no budget for them */
	bool stopped : 1;       /* nothing more is read: over once what was read is delivered */
};

/*
 * Module: the pool of pipes, within RLIMIT_NOFILE, connection-max and fs.pipe-user-pages-soft. When
 * those are used up, buffers in memory take the place of pipes.
 */
extern const struct daemon_module pump_module;

/*
 * Moves bytes until a socket blocks, the flow is over, or a bounded amount of work is done: true in
 * that last case, and the caller runs it again in a later turn.
 *
 * At most *BUDGET bytes are read, and *BUDGET is lowered by their number; NULL: any number. With a
 * budget of 0 the source's end is seen, and whether bytes wait.
 */
bool pump_run(struct flow *flow, int source, int sink, uint64_t *budget);

/*
 * Gives the flow up: bytes in flight are dropped. Only where the sink is gone or the stream is
 * killed.
 */
void pump_abandon(struct flow *flow);

#endif
