/*
 * Which of two notifications for one device goes on, when the older one still waits: the newest
 * wins, but what waits never falls in priority. Pure.
 */
#ifndef OG_PUSHD_MERGE_H
#define OG_PUSHD_MERGE_H

#include <stdbool.h>

#include "pushd/notification.h"

enum merge {
	MERGE_BESIDE,  /* neither: both are sent */
	MERGE_REPLACE, /* the newer one takes the place of what waits */
	MERGE_ABSORB,  /* what waits stays, with the newer one's message-count */
};

/*
 * True when NOTIFICATION, of PRIORITY, waits for no other one of its device and is merged with
 * none: a call, and the end of an account.
 */
bool merge_bypasses(const struct notification *notification, enum priority priority);

/*
 * What becomes of one that waits with the priority WAITING when NEWER, of NEWER_PRIORITY, comes. A
 * dismissal (message-count 0) replaces whatever waits, since there is nothing left to be told.
 */
enum merge merge_decide(enum priority waiting, const struct notification *newer,
                        enum priority newer_priority);

#define MERGE_DECISIONS (PRIORITY_COUNT + 1)

/*
 * The same for every priority that may wait, as the store takes it: for each 'r' replace or 'a'
 * absorb, in the order of enum priority, and a NUL.
 */
void merge_tell(const struct notification *newer, enum priority newer_priority,
                char decisions[MERGE_DECISIONS]);

#endif
