#include "pushd/rate.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/networks.h"

#define KEY_BYTES 16
#define NETWORK_BYTES 8 /* of an IPv6 address: what one site has, RFC 6177 */

struct bucket {
	struct list_link link;
	unsigned char key[KEY_BYTES];
	uint32_t tokens;
	uint64_t filled_ms; /* when the last whole token came */
};

static void make_key(const union net_address *address, unsigned char key[KEY_BYTES])
{
	networks_key(address, key);
	if (address->sa.sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr))
		memset(key + NETWORK_BYTES, 0, KEY_BYTES - NETWORK_BYTES);
}

void rate_init(struct rate *rate)
{
	list_init(&rate->recent);
}

static void forget(struct rate *rate, struct bucket *bucket)
{
	map_remove(&rate->map, bucket->key, KEY_BYTES);
	list_remove(&bucket->link);
	free(bucket);
}

static struct bucket *add_bucket(struct rate *rate, const unsigned char *key, uint64_t now_ms)
{
	struct bucket *bucket = mem_alloc(1, sizeof(*bucket));

	if (rate->map.count >= rate->addresses_max)
		forget(rate, container_of(list_first(&rate->recent), struct bucket, link));
	memcpy(bucket->key, key, KEY_BYTES);
	bucket->tokens = rate->burst;
	bucket->filled_ms = now_ms;
	map_put(&rate->map, bucket->key, KEY_BYTES, bucket);
	return bucket;
}

static void fill(const struct rate *rate, struct bucket *bucket, uint64_t now_ms)
{
	uint64_t more = (now_ms - bucket->filled_ms) / rate->interval_ms;

	bucket->filled_ms += more * rate->interval_ms;
	if (more > rate->burst - bucket->tokens)
		bucket->tokens = rate->burst;
	else
		bucket->tokens += (uint32_t)more;
}

bool rate_allow(struct rate *rate, const union net_address *address, uint64_t now_ms)
{
	unsigned char key[KEY_BYTES];
	struct bucket *bucket;

	make_key(address, key);
	bucket = map_get(&rate->map, key, KEY_BYTES);
	if (bucket == NULL)
		bucket = add_bucket(rate, key, now_ms);
	fill(rate, bucket, now_ms);
	list_remove(&bucket->link);
	list_append(&rate->recent, &bucket->link);
	if (bucket->tokens == 0)
		return false;
	bucket->tokens--;
	return true;
}

void rate_release(struct rate *rate)
{
	while (!list_empty(&rate->recent))
		forget(rate, container_of(list_first(&rate->recent), struct bucket, link));
	map_release(&rate->map);
}
