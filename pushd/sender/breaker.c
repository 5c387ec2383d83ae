#include "pushd/sender/breaker.h"

#include <stdio.h>

#include "common/base/mem.h"

#define STRIKES_MAX 3
#define STRIKE_PAUSE_MS 100
#define OPEN_LEAST_MS 1000
#define OPEN_MOST_MS 60000

const char *const breaker_fault_names[] = {
	[BREAKER_UNREACHABLE] = "unreachable",
	[BREAKER_CREDENTIAL] = "credential",
};

static void on_pause_end(struct timer *timer)
{
	struct breaker *breaker = container_of(timer, struct breaker, pause);

	breaker->open = false;
	breaker->passed(breaker);
}

void breaker_init(struct breaker *breaker)
{
	breaker->pause.expired = on_pause_end;
	breaker->backoff = (struct backoff){ .least_ms = OPEN_LEAST_MS, .most_ms = OPEN_MOST_MS };
}

void breaker_release(struct breaker *breaker)
{
	timer_stop(&breaker->pause);
}

uint32_t breaker_open(struct breaker *breaker, enum breaker_fault fault, const char *reason)
{
	uint32_t pause_ms = backoff_next(&breaker->backoff);

	breaker->open = true;
	breaker->fault = fault;
	breaker->strikes = 0;
	if (breaker->since_ms == 0)
		breaker->since_ms = loop_wall_ms();
	snprintf(breaker->reason, sizeof(breaker->reason), "%s", reason);
	timer_start(&breaker->pause, pause_ms);
	return pause_ms;
}

bool breaker_strike(struct breaker *breaker)
{
	if (breaker_pausing(breaker))
		return false;
	breaker->strikes++;
	if (breaker->strikes >= STRIKES_MAX || breaker_probing(breaker))
		return true;
	timer_start(&breaker->pause, breaker->strikes * STRIKE_PAUSE_MS);
	return false;
}

bool breaker_success(struct breaker *breaker)
{
	bool news = breaker_probing(breaker);

	breaker->strikes = 0;
	breaker->since_ms = 0;
	backoff_reset(&breaker->backoff);
	return news;
}

void breaker_retry(struct breaker *breaker)
{
	timer_stop(&breaker->pause);
	breaker->open = false;
	breaker->since_ms = 0;
}
