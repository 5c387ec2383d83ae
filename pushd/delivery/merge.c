#include "pushd/delivery/merge.h"

bool merge_bypasses(const struct notification *notification, enum priority priority)
{
	return priority == PRIORITY_VOIP || notification->account_removed;
}

enum store_waiting merge_class(const struct notification *notification, enum priority priority)
{
	if (priority != PRIORITY_LOW)
		return STORE_WAITING_HIGH;
	return notification->count == 0 ? STORE_WAITING_DISMISSAL : STORE_WAITING_LOW;
}

bool merge_replaces(enum store_waiting older, enum store_waiting newer)
{
	return older != STORE_WAITING_HIGH || newer != STORE_WAITING_LOW;
}

const char *merge_put_decisions(enum store_waiting newer)
{
	static char decisions[STORE_WAITING_COUNT][STORE_WAITING_COUNT + 1];

	for (enum store_waiting older = 0; older < STORE_WAITING_COUNT; older++)
		decisions[newer][older] =
		        merge_replaces(older, newer) ? STORE_REPLACE : STORE_ABSORB;
	return decisions[newer];
}

const char *merge_return_decisions(enum store_waiting older)
{
	static char decisions[STORE_WAITING_COUNT][STORE_WAITING_COUNT + 1];

	/* Here the newer one is in the store, and the older one comes back. */
	for (enum store_waiting newer = 0; newer < STORE_WAITING_COUNT; newer++)
		decisions[older][newer] =
		        merge_replaces(older, newer) ? STORE_ABSORB : STORE_REPLACE;
	return decisions[older];
}
