#include "relayd/drain.h"

#include "common/base/loop.h"
#include "common/daemon.h"
#include "relayd/quota/outbox.h"
#include "relayd/stream/bridge.h"
#include "relayd/stream/stream.h"

#define ASK_EVERY_MS 100

static void on_timer(struct timer *timer);

static struct timer ask_timer = { .expired = on_timer };
static bool was_empty; /* when it was asked last */

/*
 * Exits when the relay was found empty twice in a row: in between the reply to the call that asked
 * for draining is sent, and the last claims are removed.
 */
static void on_timer(struct timer *timer)
{
	bool empty = stream_count() == 0 && bridge_count() == 0 && outbox_empty();

	if (empty && was_empty) {
		daemon_exit();
		return;
	}
	was_empty = empty;
	timer_start(timer, ASK_EVERY_MS);
}

static void drain(void)
{
	on_timer(&ask_timer);
}

static void stop(void)
{
	timer_stop(&ask_timer);
	was_empty = false;
}

const struct daemon_module drain_module = { "drain", NULL, stop, drain };
