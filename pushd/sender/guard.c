#include "pushd/sender/guard.h"

static void remember(struct guard *guard, bool accused)
{
	if (guard->count < GUARD_REMEMBERED)
		guard->count++;
	else if (guard->accused[guard->next])
		guard->accusations--;
	guard->accused[guard->next] = accused;
	if (accused)
		guard->accusations++;
	guard->next = (guard->next + 1) % GUARD_REMEMBERED;
}

void guard_sent(struct guard *guard, uint64_t now_ms)
{
	guard->sent_ms = now_ms;
	remember(guard, false);
}

void guard_accused(struct guard *guard)
{
	remember(guard, true);
}

bool guard_trusts(const struct guard *guard, uint64_t now_ms)
{
	return guard->sent_ms != 0 && now_ms - guard->sent_ms <= GUARD_LATELY_MS &&
	       guard->accusations * GUARD_ACCUSED_AT_MOST <= guard->count;
}
