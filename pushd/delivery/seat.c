#include "pushd/delivery/seat.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

void seats_init(struct seats *seats, size_t quiet_max)
{
	*seats = (struct seats){ .quiet_max = quiet_max };
	list_init(&seats->quiet);
}

static void forget(struct seats *seats, struct seat *seat)
{
	list_remove(&seat->link);
	seats->quiet_count--;
	map_remove(&seats->by_node, seat->node, seat->node_len);
	free(seat);
}

void seats_release(struct seats *seats)
{
	list_for_each (link, &seats->quiet)
		forget(seats, container_of(link, struct seat, link));
	assert(seats->by_node.count == 0);
	map_release(&seats->by_node);
}

static struct seat *make_seat(struct seats *seats, const char *node, size_t len)
{
	struct seat *seat = mem_alloc(1, sizeof(*seat) + len);

	seat->node_len = len;
	memcpy(seat->node, node, len);
	map_put(&seats->by_node, seat->node, len, seat);
	return seat;
}

struct seat *seat_hold(struct seats *seats, const char *node)
{
	size_t len = strlen(node);
	struct seat *seat = map_get(&seats->by_node, node, len);

	if (seat == NULL) {
		seat = make_seat(seats, node, len);
	} else if (seat->holders == 0) {
		list_remove(&seat->link);
		seats->quiet_count--;
	}
	seat->holders++;
	return seat;
}

/* Two at a time, so that the table shrinks without a pause for it. */
static void forget_old(struct seats *seats, uint64_t now_ms)
{
	for (int i = 0; i < 2 && seats->quiet_count > 0; i++) {
		struct seat *oldest = container_of(list_first(&seats->quiet), struct seat, link);

		if (oldest->free_ms <= now_ms || seats->quiet_count > seats->quiet_max)
			forget(seats, oldest);
	}
}

void seat_drop(struct seats *seats, struct seat *seat, uint64_t now_ms)
{
	assert(seat->holders > 0);
	seat->holders--;
	if (seat->holders > 0)
		return;
	assert(!seat->taken && seat->storing == NULL && seat->next == NULL);
	list_append(&seats->quiet, &seat->link);
	seats->quiet_count++;
	if (seat->free_ms <= now_ms)
		forget(seats, seat);
	forget_old(seats, now_ms);
}

uint64_t seat_wait_ms(const struct seat *seat, uint64_t now_ms, uint64_t interval_ms)
{
	if (seat->taken)
		return interval_ms;
	return seat->free_ms > now_ms ? seat->free_ms - now_ms : 0;
}

void seat_vacate(struct seat *seat, bool sent, uint64_t now_ms, uint64_t interval_ms)
{
	assert(seat->taken);
	seat->taken = false;
	if (sent)
		seat->free_ms = now_ms + interval_ms;
}
