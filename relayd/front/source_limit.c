#include "relayd/front/source_limit.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "relayd/conf.h"

/*
 * Connections over their address's cap that still get an answer: of one address, and of all.
 * Further ones are just closed.
 */
#define OVER_MAX 4
#define OVER_PLACES 256

struct source {
	struct in6_addr key;
	size_t count; /* of connections */
	size_t over;
	struct list conns;           /* their places, the oldest first */
	struct list_link same_count; /* among sources with the same count */
};

/*
 * Sources with N connections are in the list same_count[N]. A count changes by one at a time, so
 * the last list in use is known without a search.
 */
static struct {
	struct map sources;
	struct list *same_count; /* lists 0 to per_address_max */
	size_t most;             /* the last list in use; 0: none */
	size_t count, max, per_address_max;
	/*
	 * Allocated at once: places come and go among connections that stay for hours, and each
	 * would leave a hole in the heap. Pages that were never touched cost no memory.
	 */
	struct source_place *places, *free;
	size_t used; /* places that were ever taken */
} limit;

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

static struct in6_addr key_of(const struct in6_addr *address)
{
	struct in6_addr key = *address;

	if (!IN6_IS_ADDR_V4MAPPED(address))
		memset(&key.s6_addr[8], 0, 8);
	return key;
}

static struct source *find_source(const struct in6_addr *key)
{
	return map_get(&limit.sources, key, sizeof(*key));
}

static struct source *source_new(const struct in6_addr *key)
{
	struct source *source = mem_alloc(1, sizeof(*source));

	source->key = *key;
	list_init(&source->conns);
	(void)map_put(&limit.sources, &source->key, sizeof(source->key), source);
	return source;
}

static void free_if_unused(struct source *source)
{
	if (source->count > 0 || source->over > 0)
		return;
	(void)map_remove(&limit.sources, &source->key, sizeof(source->key));
	free(source);
}

static void set_count(struct source *source, size_t count)
{
	list_remove(&source->same_count);
	source->count = count;
	if (count > 0)
		list_append(&limit.same_count[count], &source->same_count);
	if (count > limit.most)
		limit.most = count;
	else if (limit.most > 0 && list_empty(&limit.same_count[limit.most]))
		limit.most--;
}

/* Of several sources with the most connections, the one that has had so many for longest. */
static void evict_one(void (*evict)(struct conn *conn))
{
	struct list_link *link = list_first(&limit.same_count[limit.most]);
	struct source *source = container_of(link, struct source, same_count);
	size_t before = limit.count;

	link = list_first(&source->conns);
	evict(container_of(link, struct source_place, link)->conn);
	assert(limit.count < before);
}

struct source_place *source_limit_add(struct conn *conn, const struct in6_addr *address,
                                      void (*evict)(struct conn *conn))
{
	struct in6_addr key = key_of(address);
	struct source *source = find_source(&key);
	bool over = source != NULL && source->count >= limit.per_address_max;
	struct source_place *place;

	if (over && source->over >= OVER_MAX)
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
	set_count(place->source, place->source->count + 1);
	limit.count++;
	return place;
}

bool source_limit_is_over(const struct source_place *place)
{
	return !list_linked(&place->link);
}

void source_limit_remove(struct source_place *place)
{
	if (place == NULL)
		return;
	if (source_limit_is_over(place)) {
		place->source->over--;
	} else {
		list_remove(&place->link);
		set_count(place->source, place->source->count - 1);
		limit.count--;
	}
	free_if_unused(place->source);
	give_place(place);
}

size_t source_limit_count(void)
{
	return limit.count;
}

static void set_limit(size_t max, size_t per_address_max)
{
	limit.max = max;
	limit.per_address_max = per_address_max;
	limit.places = mem_alloc(max + OVER_PLACES, sizeof(struct source_place));
	limit.same_count = mem_alloc(per_address_max + 1, sizeof(struct list));
	for (size_t count = 0; count <= per_address_max; count++)
		list_init(&limit.same_count[count]);
}

static int start(void *config)
{
	const struct relay_conf *conf = config;

	set_limit((size_t)conf->pending_max, (size_t)conf->pending_per_address_max);
	return 0;
}

/* No connection is counted any more. */
static void stop(void)
{
	assert(limit.count == 0);
	map_release(&limit.sources);
	free(limit.same_count);
	free(limit.places);
	limit.same_count = NULL;
	limit.places = limit.free = NULL;
	limit.used = limit.most = 0;
}

const struct daemon_module source_limit_module = { "source limit", start, stop };
