#include "relayd/front/source_limit.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/net/networks.h"
#include "relayd/conf.h"

/*
 * Connections over their address's cap that still get an answer: of one address, and of all.
 * Further ones are just closed.
 */
#define OVER_MAX 4
#define OVER_PLACES 256

/*
 * Items in the order of a count that changes by one at a time: each group has those with the same
 * count, so moving an item takes constant time, and the last group has the most.
 */
struct rank {
	struct list groups;
};

struct rank_group {
	struct list_link link;
	size_t count;
	struct list items; /* never empty; the one that has had so many for longest first */
};

/* All zeros: the count is 0. */
struct rank_item {
	struct list_link link;
	struct rank_group *group; /* NULL: of no group */
};

/* Addresses of one IPv6 /48 or IPv4 /24 that have connections in places. */
struct source_network {
	struct in6_addr key;
	struct rank_item item; /* ranked by the connections of all its sources */
	struct rank sources;
	size_t source_count; /* includes those that only have connections over the cap */
};

/* An IPv6 /64 or an IPv4 address. */
struct source {
	struct in6_addr key;
	struct source_network *network;
	struct rank_item item; /* ranked in its network by its connections */
	size_t over;
	struct list conns; /* their places, the oldest first */
};

/* The same, of connections in any state; small, since there may be thousands. */
struct address {
	struct in6_addr key;
	uint32_t conns;
};

static struct {
	struct map sources, networks, addresses;
	struct rank ranked; /* networks */
	size_t count, max, per_address_max, conns_per_address_max;
	/*
	 * Allocated at once: places come and go among connections that stay for hours, and each
	 * would leave a hole in the heap. Pages that were never touched cost no memory.
	 */
	struct source_place *places, *free;
	size_t used; /* places that were ever taken */
} limit;

/* Ranks */

static struct rank_group *group_of(struct list_link *link)
{
	return container_of(link, struct rank_group, link);
}

static size_t count_of(const struct rank_item *item)
{
	return item->group == NULL ? 0 : item->group->count;
}

/* The group of COUNT: the one at NEIGHBOUR, or else a new one before BEFORE. */
static struct rank_group *find_group(struct rank *rank, struct list_link *neighbour,
                                     struct list_link *before, size_t count)
{
	struct rank_group *group;

	if (neighbour != &rank->groups.head && group_of(neighbour)->count == count)
		return group_of(neighbour);
	group = mem_alloc(1, sizeof(*group));
	group->count = count;
	list_init(&group->items);
	list_insert_before(before, &group->link);
	return group;
}

/* GROUP NULL: of none any more. */
static void move_to(struct rank_item *item, struct rank_group *group)
{
	struct rank_group *old = item->group;

	list_remove(&item->link);
	item->group = group;
	if (group != NULL)
		list_append(&group->items, &item->link);
	if (old != NULL && list_empty(&old->items)) {
		list_remove(&old->link);
		free(old);
	}
}

static void raise_item(struct rank *rank, struct rank_item *item)
{
	struct list_link *at = item->group == NULL ? &rank->groups.head : &item->group->link;

	move_to(item, find_group(rank, at->next, at->next, count_of(item) + 1));
}

static void lower_item(struct rank *rank, struct rank_item *item)
{
	struct list_link *at = &item->group->link;
	size_t count = count_of(item) - 1;

	move_to(item, count == 0 ? NULL : find_group(rank, at->prev, at, count));
}

/* The one with the most; of several the one that has had so many for longest. NULL: none. */
static struct rank_item *most(const struct rank *rank)
{
	struct list_link *last = rank->groups.head.prev;

	if (last == &rank->groups.head)
		return NULL;
	return container_of(list_first(&group_of(last)->items), struct rank_item, link);
}

/* Places */

static struct source_place *take_place(void)
{
	struct source_place *place = limit.free;

	if (place != NULL)
		limit.free = place->next;
	else if (limit.used < limit.max + OVER_PLACES)
		place = &limit.places[limit.used++];
	return place;
}

static void give_place(struct source_place *place)
{
	place->next = limit.free;
	limit.free = place;
}

/* Networks, sources and addresses */

static struct in6_addr address_key(const struct in6_addr *address)
{
	struct in6_addr key = *address;

	networks_cut_to_site(key.s6_addr);
	return key;
}

static struct in6_addr network_key(const struct in6_addr *address)
{
	struct in6_addr key = *address;

	networks_cut_to_network(key.s6_addr);
	return key;
}

static struct source_network *network_for(const struct in6_addr *address)
{
	struct in6_addr key = network_key(address);
	struct source_network *network = map_get(&limit.networks, &key, sizeof(key));

	if (network != NULL)
		return network;
	network = mem_alloc(1, sizeof(*network));
	network->key = key;
	list_init(&network->sources.groups);
	(void)map_put(&limit.networks, &network->key, sizeof(network->key), network);
	return network;
}

static struct source *find_source(const struct in6_addr *key)
{
	return map_get(&limit.sources, key, sizeof(*key));
}

static struct source *source_new(const struct in6_addr *key)
{
	struct source *source = mem_alloc(1, sizeof(*source));

	source->key = *key;
	source->network = network_for(key);
	source->network->source_count++;
	list_init(&source->conns);
	(void)map_put(&limit.sources, &source->key, sizeof(source->key), source);
	return source;
}

static void free_if_unused(struct source *source)
{
	struct source_network *network = source->network;

	if (source->item.group != NULL || source->over > 0)
		return;
	(void)map_remove(&limit.sources, &source->key, sizeof(source->key));
	free(source);
	if (--network->source_count > 0)
		return;
	(void)map_remove(&limit.networks, &network->key, sizeof(network->key));
	free(network);
}

static struct address *find_address(const struct in6_addr *key)
{
	return map_get(&limit.addresses, key, sizeof(*key));
}

static void count_conn(const struct in6_addr *key)
{
	struct address *address = find_address(key);

	if (address == NULL) {
		address = mem_alloc(1, sizeof(*address));
		address->key = *key;
		(void)map_put(&limit.addresses, &address->key, sizeof(address->key), address);
	}
	address->conns++;
}

void source_limit_closed(const struct in6_addr *address)
{
	struct in6_addr key = address_key(address);
	struct address *counted = find_address(&key);

	if (--counted->conns > 0)
		return;
	(void)map_remove(&limit.addresses, &counted->key, sizeof(counted->key));
	free(counted);
}

/* Adding and evicting */

/* The oldest connection of the source with the most, in the network with the most. */
static void evict_one(void (*evict)(struct conn *conn))
{
	struct source_network *network =
	        container_of(most(&limit.ranked), struct source_network, item);
	struct source *source = container_of(most(&network->sources), struct source, item);
	struct list_link *oldest = list_first(&source->conns);
	size_t before = limit.count;

	evict(container_of(oldest, struct source_place, link)->conn);
	assert(limit.count < before);
}

static bool has_its_maximum(const struct in6_addr *key)
{
	const struct source *source = find_source(key);
	const struct address *address = find_address(key);

	return (source != NULL && count_of(&source->item) >= limit.per_address_max) ||
	       (address != NULL && address->conns >= limit.conns_per_address_max);
}

bool source_limit_make_room(const struct in6_addr *address, void (*evict)(struct conn *conn),
                            bool (*otherwise)(void))
{
	const struct rank_item *greediest = most(&limit.ranked);
	struct in6_addr key = address == NULL ? in6addr_any : address_key(address);

	if (address != NULL && has_its_maximum(&key))
		return false;
	if (greediest == NULL || count_of(greediest) < 2)
		return otherwise();
	evict_one(evict);
	return true;
}

struct source_place *source_limit_add(struct conn *conn, const struct in6_addr *address,
                                      void (*evict)(struct conn *conn))
{
	struct in6_addr key = address_key(address);
	bool over = has_its_maximum(&key);
	struct source *source = find_source(&key);
	struct source_place *place;

	if (over && source != NULL && source->over >= OVER_MAX)
		return NULL;
	if (!over && limit.count >= limit.max) {
		evict_one(evict);
		source = find_source(&key); /* the eviction may have freed it */
	}
	place = take_place();
	if (place == NULL)
		return NULL;
	place->conn = conn;
	place->source = source != NULL ? source : source_new(&key);
	if (over) {
		place->source->over++;
		return place;
	}
	list_append(&place->source->conns, &place->link);
	raise_item(&place->source->network->sources, &place->source->item);
	raise_item(&limit.ranked, &place->source->network->item);
	count_conn(&key);
	limit.count++;
	return place;
}

bool source_limit_is_over(const struct source_place *place)
{
	return !list_linked(&place->link);
}

void source_limit_remove(struct source_place *place)
{
	struct source *source;

	if (place == NULL)
		return;
	source = place->source;
	if (source_limit_is_over(place)) {
		source->over--;
	} else {
		list_remove(&place->link);
		lower_item(&source->network->sources, &source->item);
		lower_item(&limit.ranked, &source->network->item);
		limit.count--;
	}
	free_if_unused(source);
	give_place(place);
}

size_t source_limit_count(void)
{
	return limit.count;
}

static void set_limit(size_t max, size_t per_address_max, size_t conns_per_address_max)
{
	limit.max = max;
	limit.per_address_max = per_address_max;
	limit.conns_per_address_max = conns_per_address_max;
	limit.places = mem_alloc(max + OVER_PLACES, sizeof(struct source_place));
	list_init(&limit.ranked.groups);
}

static int start(void *config)
{
	const struct relay_conf *conf = config;

	set_limit((size_t)conf->pending_max, (size_t)conf->pending_per_address_max,
	          (size_t)conf->connections_per_address_max);
	return 0;
}

/* No connection is counted any more. */
static void stop(void)
{
	assert(limit.count == 0);
	map_release(&limit.sources);
	map_release(&limit.networks);
	map_release(&limit.addresses);
	free(limit.places);
	limit.places = limit.free = NULL;
	limit.used = 0;
}

const struct daemon_module source_limit_module = { "source limit", start, stop };
