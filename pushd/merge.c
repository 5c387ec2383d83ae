#include "pushd/merge.h"

bool merge_bypasses(const struct notification *notification, enum priority priority)
{
	return priority == PRIORITY_VOIP || notification->account_removed;
}

static bool dismisses(const struct notification *notification, enum priority priority)
{
	return notification->count == 0 && priority == PRIORITY_LOW;
}

enum merge merge_decide(enum priority waiting, const struct notification *newer,
                        enum priority newer_priority)
{
	if (waiting == PRIORITY_VOIP || merge_bypasses(newer, newer_priority))
		return MERGE_BESIDE;
	if (newer_priority <= waiting || dismisses(newer, newer_priority))
		return MERGE_REPLACE;
	return MERGE_ABSORB;
}

void merge_tell(const struct notification *newer, enum priority newer_priority,
                char decisions[MERGE_DECISIONS])
{
	for (enum priority waiting = 0; waiting < PRIORITY_COUNT; waiting++) {
		enum merge merge = merge_decide(waiting, newer, newer_priority);

		/* What goes beside others has no place in the slot: a call would stay there. */
		decisions[waiting] = merge == MERGE_REPLACE ? 'r' : 'a';
	}
	decisions[PRIORITY_COUNT] = '\0';
}
