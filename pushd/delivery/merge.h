/*
 * Which of two notifications for one device goes on, when the older one still waits: the newest
 * wins, but what waits never falls in priority, save for a dismissal (message-count 0), after which
 * there is nothing left to be told. Pure.
 */
#ifndef OG_PUSHD_DELIVERY_MERGE_H
#define OG_PUSHD_DELIVERY_MERGE_H

#include <stdbool.h>

#include "pushd/provider/notification.h"
#include "pushd/queue/store.h"

/*
 * True when NOTIFICATION, of PRIORITY, waits for no other one of its device and is merged with
 * none: a call, and the end of an account.
 */
bool merge_bypasses(const struct notification *notification, enum priority priority);

/* As what NOTIFICATION, of PRIORITY, waits, if it doesn't bypass. */
enum store_waiting merge_class(const struct notification *notification, enum priority priority);

/*
 * True: NEWER takes the place of the older one that waits. False: the older one stays, with the
 * message-count of NEWER, if that has one.
 */
bool merge_replaces(enum store_waiting older, enum store_waiting newer);

/* The decisions for store_put() of one of the class NEWER (static). */
const char *merge_put_decisions(enum store_waiting newer);

/* The decisions for store_return() of one of the class OLDER (static). */
const char *merge_return_decisions(enum store_waiting older);

#endif
