#include "pushd/api/rate.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

struct bucket {
	struct list_link link;
	uint32_t tokens;
	uint64_t filled_ns; /* when the last whole token came */
	size_t key_len;
	unsigned char key[];
};

void rate_init(struct rate *rate)
{
	list_init(&rate->recent);
}

static void forget(struct rate *rate, struct bucket *bucket)
{
	map_remove(&rate->map, bucket->key, bucket->key_len);
	list_remove(&bucket->link);
	free(bucket);
}

static struct bucket *add_bucket(struct rate *rate, const void *key, size_t key_len,
                                 uint64_t now_ns)
{
	struct bucket *bucket = mem_alloc(1, sizeof(*bucket) + key_len);

	if (rate->map.count >= rate->keys_max)
		forget(rate, container_of(list_first(&rate->recent), struct bucket, link));
	memcpy(bucket->key, key, key_len);
	bucket->key_len = key_len;
	bucket->tokens = rate->burst;
	bucket->filled_ns = now_ns;
	map_put(&rate->map, bucket->key, key_len, bucket);
	return bucket;
}

static void fill(const struct rate *rate, struct bucket *bucket, uint64_t now_ns)
{
	uint64_t more = (now_ns - bucket->filled_ns) / rate->interval_ns;

	bucket->filled_ns += more * rate->interval_ns;
	if (more > rate->burst - bucket->tokens)
		bucket->tokens = rate->burst;
	else
		bucket->tokens += (uint32_t)more;
}

uint64_t rate_wait(const struct rate *rate, const void *key, size_t key_len, uint64_t now_ns)
{
	const struct bucket *bucket = map_get(&rate->map, key, key_len);
	uint64_t since_ns;

	if (bucket == NULL || bucket->tokens > 0)
		return 0;
	since_ns = now_ns - bucket->filled_ns;
	return since_ns >= rate->interval_ns ? 0 : rate->interval_ns - since_ns;
}

uint64_t rate_take(struct rate *rate, const void *key, size_t key_len, uint64_t now_ns)
{
	struct bucket *bucket = map_get(&rate->map, key, key_len);

	if (bucket == NULL)
		bucket = add_bucket(rate, key, key_len, now_ns);
	fill(rate, bucket, now_ns);
	list_remove(&bucket->link);
	list_append(&rate->recent, &bucket->link);
	if (bucket->tokens == 0)
		return bucket->filled_ns + rate->interval_ns - now_ns;
	bucket->tokens--;
	return 0;
}

void rate_release(struct rate *rate)
{
	while (!list_empty(&rate->recent))
		forget(rate, container_of(list_first(&rate->recent), struct bucket, link));
	map_release(&rate->map);
}
