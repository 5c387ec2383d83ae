/*
 * What waits for room on a connection: VoIP before high before low, else in the order of arrival.
 */
#ifndef OG_PUSHD_SENDER_QUEUE_H
#define OG_PUSHD_SENDER_QUEUE_H

#include <stddef.h>

#include "common/base/list.h"
#include "pushd/provider/notification.h"

struct queue {
	struct list lists[PRIORITY_COUNT];
	size_t count;
};

void queue_init(struct queue *queue);

void queue_add(struct queue *queue, struct list_link *link, enum priority priority);

/* Puts back what was taken out, before all others of its priority. */
void queue_return(struct queue *queue, struct list_link *link, enum priority priority);

/* Does nothing when LINK isn't in the queue. */
void queue_remove(struct queue *queue, struct list_link *link);

/* The next one, still in the queue; NULL when it is empty. */
struct list_link *queue_first(const struct queue *queue);

/* Makes the metric of all queues' length known. */
void queue_metrics(void);

#endif
