/*
 * A component with standby = yes: a lease in Redis says which one of several gateways may hold its
 * stream, for servers that let one connection in. The gateway that holds the lease renews it every
 * second; the others take it once it has ended, and connect then.
 *
 * A lease isn't proof: Redis may lose it, or be away from one gateway alone. So
 * - a holder that Redis doesn't answer keeps its stream;
 * - a gateway to which Redis answers again lets the holder renew first;
 * - a holder that is told twice that another one holds the lease closes its stream;
 * - a holder whose stream the server ended in favour of another connection (conflict) takes the
 *   lease again only after another gateway has held it: if none has, the other connection isn't
 *   known in this Redis, and to take the stream back would begin an alternation without an end.
 */
#ifndef OG_XMPPGW_COMPONENT_STANDBY_H
#define OG_XMPPGW_COMPONENT_STANDBY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/redis/redis.h"
#include "xmppgw/component/stream.h"

#define STANDBY_HOLDER_MAX 96 /* the gateway's id and a random number, which tells its runs apart */

enum standby_step {
	STANDBY_REST, /* the stream isn't to be connected for a while */
	STANDBY_LOOK, /* who has or had the lease? */
	STANDBY_TAKE,
	STANDBY_HOLD,
	STANDBY_YIELD, /* until the stream stands by */
	STANDBY_GIVE_BACK,
	STANDBY_OVER, /* the stream is off and the lease was given back, if Redis could be told */
};

extern const char *const standby_step_names[];

/* The lease of one component; all zeros: none is needed. */
struct standby {
	enum standby_step step;
	bool covered; /* another gateway held the lease at the last attempt to take it */

	/* The module's own. */
	struct stream *stream; /* borrowed; NULL: not started */
	void (*over)(void);
	char holder[STANDBY_HOLDER_MAX]; /* this gateway's name in the lease */
	struct redis_call call;
	struct timer timer;
	bool away;      /* Redis didn't answer the last command */
	bool displaced; /* by a connection whose gateway hasn't been seen to hold the lease */
	bool logged;    /* that it is displaced */
	bool refused;   /* Redis refuses a command: that was logged */
	unsigned refusals;
	uint64_t due_ms; /* holding without a stream: when it is connected again */
};

/*
 * Connects STREAM, which stands by, whenever the gateway named GATEWAY gets the lease. OVER is
 * called when the step has become STANDBY_OVER.
 */
void standby_start(struct standby *standby, struct stream *stream, const char *gateway,
                   void (*over)(void));

/* Doesn't give the lease back. Does nothing when not started. */
void standby_stop(struct standby *standby);

/* The stream's state has changed. Does nothing when not started. */
void standby_on_change(struct standby *standby);

#endif
