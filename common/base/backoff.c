#include "common/base/backoff.h"

#include <stdlib.h>
#include <sys/random.h>

#include "common/base/panic.h"

uint32_t backoff_next(struct backoff *backoff)
{
	uint32_t top = backoff->current_ms;
	uint32_t bottom;

	if (top == 0)
		top = backoff->least_ms;
	else
		top = top > backoff->most_ms / 2 ? backoff->most_ms : 2 * top;
	if (top > backoff->most_ms)
		top = backoff->most_ms;
	backoff->current_ms = top;
	bottom = top / 2;
	return bottom + backoff_random() % (top - bottom + 1);
}

uint32_t backoff_after(uint32_t least_ms, uint32_t most_ms, unsigned attempts)
{
	struct backoff backoff = { .least_ms = least_ms, .most_ms = most_ms };

	while (attempts-- > 0 && backoff.current_ms < most_ms)
		backoff_next(&backoff);
	return backoff_next(&backoff);
}

void backoff_reset(struct backoff *backoff)
{
	backoff->current_ms = 0;
}

uint32_t backoff_random(void)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		panic("getrandom: %m");
	return number;
}
