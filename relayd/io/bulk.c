#include "relayd/io/bulk.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/base/mem.h"

struct bulk {
	struct list_link link;
	struct flow *flow;
	int source;
	uint64_t received; /* when the pause was last looked for */
};

static struct list all = { { &all.head, &all.head } };

static void look_for_pauses(struct timer *timer);
static struct timer pause_timer = { .expired = look_for_pauses };

/* Where the socket has no such option, it is as if it were never set. */
static void gather(int source, int bytes)
{
	(void)setsockopt(source, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

void bulk_forget(struct flow *flow)
{
	if (flow->bulk == NULL)
		return;
	list_remove(&flow->bulk->link);
	free(flow->bulk);
	flow->bulk = NULL;
	if (list_empty(&all))
		timer_stop(&pause_timer);
}

void bulk_wait(struct flow *flow, int source, uint64_t burst)
{
	struct bulk *bulk = flow->bulk;

	if (bulk != NULL || burst < BULK_BURST_BYTES)
		return;
	bulk = flow->bulk = mem_alloc(1, sizeof(*bulk));
	bulk->flow = flow;
	bulk->source = source;
	bulk->received = flow->received;
	if (list_empty(&all))
		timer_start(&pause_timer, BULK_PAUSE_MS);
	list_append(&all, &bulk->link);
	gather(source, BULK_GATHER_BYTES);
}

static void look_for_pauses(struct timer *timer)
{
	list_for_each (link, &all) {
		struct bulk *bulk = container_of(link, struct bulk, link);

		if (bulk->received != bulk->flow->received) {
			bulk->received = bulk->flow->received;
			continue;
		}
		/* With this the kernel tells of what has been gathered. */
		gather(bulk->source, 1);
		bulk_forget(bulk->flow);
	}
	if (!list_empty(&all))
		timer_start(timer, BULK_PAUSE_MS);
}
