#include "relayd/drain.h"

#include "common/base/loop.h"
#include "common/daemon.h"
#include "relayd/presence.h"
#include "relayd/quota/outbox.h"
#include "relayd/stream/bridge.h"
#include "relayd/stream/stream.h"

/* Lets the answer to the call that asked for draining leave, and the last claims be removed. */
#define EXIT_AFTER_MS 100

static void on_empty(struct timer *timer)
{
	daemon_exit();
}

static struct timer exit_timer = { .expired = on_empty };

void drain_begin(void)
{
	presence_touch();
	drain_check();
}

void drain_check(void)
{
	bool empty = stream_count() == 0 && bridge_count() == 0 && outbox_empty();

	if (daemon_draining() && empty && !timer_active(&exit_timer))
		timer_start(&exit_timer, EXIT_AFTER_MS);
}

static void stop(void)
{
	timer_stop(&exit_timer);
}

const struct daemon_module drain_module = { "drain", NULL, stop };
