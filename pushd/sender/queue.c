#include "pushd/sender/queue.h"

#include "common/base/metrics.h"

static int64_t length;
static struct metric length_metric = {
	.name = "outrigger_pushd_queue_length",
	.help = "Notifications that wait for room on a connection.",
	.kind = METRIC_GAUGE,
	.numbers = &length,
};

void queue_metrics(void)
{
	metrics_add(&length_metric);
}

void queue_init(struct queue *queue)
{
	for (size_t i = 0; i < PRIORITY_COUNT; i++)
		list_init(&queue->lists[i]);
	queue->count = 0;
}

void queue_add(struct queue *queue, struct list_link *link, enum priority priority)
{
	list_append(&queue->lists[priority], link);
	queue->count++;
	metric_add(&length_metric, 0, 1);
}

void queue_return(struct queue *queue, struct list_link *link, enum priority priority)
{
	list_prepend(&queue->lists[priority], link);
	queue->count++;
	metric_add(&length_metric, 0, 1);
}

void queue_remove(struct queue *queue, struct list_link *link)
{
	if (!list_linked(link))
		return;
	list_remove(link);
	queue->count--;
	metric_add(&length_metric, 0, -1);
}

struct list_link *queue_first(const struct queue *queue)
{
	for (size_t i = 0; i < PRIORITY_COUNT; i++)
		if (!list_empty(&queue->lists[i]))
			return list_first(&queue->lists[i]);
	return NULL;
}
