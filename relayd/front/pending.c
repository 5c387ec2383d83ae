#include "relayd/front/pending.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "relayd/conf.h"
#include "relayd/io/half.h"

/*
 * Connections over their address's cap that are answered: of one address, and the places that there
 * are for those of all. More are closed without a word.
 */
#define OVER_MAX 4
#define OVER_PLACES 256

struct source {
	struct in6_addr key;
	size_t count; /* of halves */
	size_t over;
	struct list halves;       /* the oldest first */
	struct list_link fellows; /* among those with as many halves */
};

/*
 * Sources with N halves are in fellows[N]. A source moves one place at a time, so the last place in
 * use is found without looking for it.
 */
static struct {
	struct map sources;
	struct list *fellows; /* places 0 to per_address_max */
	size_t greediest;     /* the last place in use; 0: none */
	size_t count, max, per_address_max;
	/*
	 * Allocated at once, since places come and go among halves that stay for hours: each would
	 * leave a hole. Memory that was never used is none.
	 */
	struct pending *places, *free;
	size_t used; /* places that were ever taken */
	void (*evict)(struct half *half);
} pendings;

static struct pending *take_place(void)
{
	struct pending *place = pendings.free;

	if (place != NULL)
		pendings.free = place->next;
	else if (pendings.used < pendings.max + OVER_PLACES)
		place = &pendings.places[pendings.used++];
	return place;
}

static void give_place(struct pending *place)
{
	place->next = pendings.free;
	pendings.free = place;
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
	return map_get(&pendings.sources, key, sizeof(*key));
}

static struct source *make_source(const struct in6_addr *key)
{
	struct source *source = mem_alloc(1, sizeof(*source));

	source->key = *key;
	list_init(&source->halves);
	(void)map_put(&pendings.sources, &source->key, sizeof(source->key), source);
	return source;
}

static void drop_if_unused(struct source *source)
{
	if (source->count > 0 || source->over > 0)
		return;
	(void)map_remove(&pendings.sources, &source->key, sizeof(source->key));
	free(source);
}

static void set_count(struct source *source, size_t count)
{
	list_remove(&source->fellows);
	source->count = count;
	if (count > 0)
		list_append(&pendings.fellows[count], &source->fellows);
	if (count > pendings.greediest)
		pendings.greediest = count;
	else if (pendings.greediest > 0 && list_empty(&pendings.fellows[pendings.greediest]))
		pendings.greediest--;
}

/* Of several that are as greedy, the one that has been so for longest. */
static void evict_one(void)
{
	struct list_link *link = list_first(&pendings.fellows[pendings.greediest]);
	struct source *source = container_of(link, struct source, fellows);
	size_t before = pendings.count;

	link = list_first(&source->halves);
	pendings.evict(container_of(link, struct pending, link)->half);
	assert(pendings.count < before);
}

struct pending *pending_add(struct half *half, const struct in6_addr *address)
{
	struct in6_addr key = key_of(address);
	struct source *source = find_source(&key);
	bool over = source != NULL && source->count >= pendings.per_address_max;
	struct pending *pending;

	if (over && source->over >= OVER_MAX)
		return NULL;
	if (!over && pendings.count >= pendings.max) {
		evict_one();
		source = find_source(&key); /* it may have been the one */
	}
	pending = take_place();
	if (pending == NULL)
		return NULL;
	pending->half = half;
	pending->source = source != NULL ? source : make_source(&key);
	if (over) {
		pending->source->over++;
		return pending;
	}
	list_append(&pending->source->halves, &pending->link);
	set_count(pending->source, pending->source->count + 1);
	pendings.count++;
	return pending;
}

bool pending_is_over(const struct pending *pending)
{
	return !list_linked(&pending->link);
}

void pending_remove(struct pending *pending)
{
	if (pending == NULL)
		return;
	if (pending_is_over(pending)) {
		pending->source->over--;
	} else {
		list_remove(&pending->link);
		set_count(pending->source, pending->source->count - 1);
		pendings.count--;
	}
	drop_if_unused(pending->source);
	give_place(pending);
}

size_t pending_count(void)
{
	return pendings.count;
}

void pending_open(size_t max, size_t per_address_max, void (*evict)(struct half *half))
{
	pendings.max = max;
	pendings.per_address_max = per_address_max;
	pendings.evict = evict;
	pendings.places = mem_alloc(max + OVER_PLACES, sizeof(struct pending));
	pendings.fellows = mem_alloc(per_address_max + 1, sizeof(struct list));
	for (size_t place = 0; place <= per_address_max; place++)
		list_init(&pendings.fellows[place]);
}

static void stop(void)
{
	assert(pendings.count == 0);
	map_release(&pendings.sources);
	free(pendings.fellows);
	free(pendings.places);
	pendings.fellows = NULL;
	pendings.places = pendings.free = NULL;
	pendings.used = pendings.greediest = 0;
}

static int start(void *config)
{
	const struct relay_conf *conf = config;

	pending_open((size_t)conf->pending_max, (size_t)conf->pending_per_address_max, half_evict);
	return 0;
}

const struct daemon_module pending_module = { "pending", start, stop };
