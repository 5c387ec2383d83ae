/*
 * One direction of a stream: bytes go from one socket to another through a pipe that is held only
 * while bytes are in it. Sockets are non-blocking and watched edge-triggered: whoever gets their
 * events sets readable and writable.
 *
 * The rules that keep every byte: the pipe is filled only when it is empty, so EAGAIN has one
 * meaning and an end or an error of the source is seen only when all that came before it has been
 * handed to the sink; then the end becomes shutdown(SHUT_WR) of the sink, and the other direction
 * goes on by itself.
 */
#ifndef OG_RELAYD_IO_PUMP_H
#define OG_RELAYD_IO_PUMP_H

#include <stdbool.h>
#include <stdint.h>

struct bulk;
struct pipe;

enum flow_state {
	FLOW_OPEN,
	FLOW_ENDED,         /* the source ended, all was delivered, the sink was told */
	FLOW_SOURCE_FAILED, /* all that could be read was delivered; see error */
	FLOW_SINK_FAILED,   /* the sink takes no more; see error */
};

/* All zeros is a direction that hasn't moved yet and has nothing to read or write. */
struct flow {
	struct pipe *pipe;      /* lent by the pool; NULL while nothing is in flight */
	struct bulk *bulk;      /* while the source is fast; bulk.h's */
	uint64_t received;      /* bytes read from the source */
	uint64_t delivered;     /* bytes that the sink's socket took */
	uint32_t chunk;         /* most bytes of the next fill; 0: not decided yet */
	uint16_t error;         /* errno of a failure */
	uint8_t state;          /* enum flow_state */
	bool readable : 1;      /* the source may have bytes, an end or an error */
	bool writable : 1;      /* the sink may take bytes */
	bool source_broken : 1; /* the source failed as a sink: its end is no proper end */
	bool starving : 1;      /* bytes wait in the source, but there is no budget for them */
	bool stopped : 1;       /* nothing more is read: it ends when what was read is delivered */
};

/*
 * Moves bytes until a socket blocks, the flow is over, or a bounded amount of work is done. True:
 * it was the last, and the caller runs it again in a later turn.
 *
 * No more than *BUDGET bytes are read, and those are taken off it; NULL is any number. Without
 * budget the source's end is seen, and whether bytes wait.
 */
bool pump_run(struct flow *flow, int source, int sink, uint64_t *budget);

/*
 * Gives the flow up: bytes in flight are dropped. Only for a sink that is gone or a stream that is
 * cut.
 */
void pump_abandon(struct flow *flow);

#endif
