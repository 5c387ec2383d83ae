#include "pushd/sender/pacer.h"

#include <limits.h>

#include "common/base/mem.h"

#define SECOND_NS 1000000000u
/* What may go at once after silence: a tenth of a second's worth, but a few at least. */
#define BURST_NS 100000000u
#define BURST_LEAST 5

static void on_wait_end(struct timer *timer)
{
	struct pacer *pacer = container_of(timer, struct pacer, wait);

	pacer->passed(pacer);
}

void pacer_init(struct pacer *pacer, int64_t rate)
{
	pacer->wait.expired = on_wait_end;
	pacer->rate = rate;
}

void pacer_release(struct pacer *pacer)
{
	timer_stop(&pacer->wait);
}

static uint64_t gap_ns(const struct pacer *pacer)
{
	return SECOND_NS / (uint64_t)pacer->rate;
}

static uint64_t burst_ns(const struct pacer *pacer)
{
	uint64_t least = BURST_LEAST * gap_ns(pacer);

	return least > BURST_NS ? least : BURST_NS;
}

/* The time of the next one, if none before it is made up for beyond the burst. */
static uint64_t next_ns(const struct pacer *pacer, uint64_t now_ns)
{
	uint64_t oldest = now_ns > burst_ns(pacer) ? now_ns - burst_ns(pacer) : 0;

	return pacer->next_ns > oldest ? pacer->next_ns : oldest;
}

/* How much of the pause is left. */
static uint64_t pause_left_ms(const struct pacer *pacer)
{
	uint64_t now_ms = loop_now_ms();

	return now_ms < pacer->paused_ms ? pacer->paused_ms - now_ms : 0;
}

bool pacer_paused(const struct pacer *pacer)
{
	return pause_left_ms(pacer) > 0;
}

unsigned pacer_room(const struct pacer *pacer)
{
	uint64_t now_ns = loop_now_ns(), next;

	if (pacer_paused(pacer))
		return 0;
	if (pacer->rate == 0)
		return UINT_MAX;
	next = next_ns(pacer, now_ns);
	return next > now_ns ? 0 : (unsigned)((now_ns - next) / gap_ns(pacer)) + 1;
}

static void wait_for(struct pacer *pacer, uint64_t delay_ms)
{
	if (!timer_active(&pacer->wait))
		timer_start(&pacer->wait, delay_ms);
}

bool pacer_take(struct pacer *pacer)
{
	uint64_t now_ns, next, pause_ms = pause_left_ms(pacer);

	if (pause_ms > 0) {
		wait_for(pacer, pause_ms);
		return false;
	}
	if (pacer->rate == 0)
		return true;
	now_ns = loop_now_ns();
	next = next_ns(pacer, now_ns);
	if (next > now_ns) {
		wait_for(pacer, (next - now_ns) / 1000000 + 1);
		return false;
	}
	pacer->next_ns = next + gap_ns(pacer);
	return true;
}

void pacer_pause(struct pacer *pacer, uint64_t pause_ms)
{
	uint64_t until_ms = loop_now_ms() + pause_ms;

	if (until_ms <= pacer->paused_ms)
		return;
	pacer->paused_ms = until_ms;
	timer_start(&pacer->wait, pause_ms);
}
