#include "common/base/map.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/mem.h"
#include "common/base/panic.h"

#define LEAST_SLOTS 8

/* SipHash-2-4 of Aumasson and Bernstein; words are little-endian. */

static uint64_t load_word(const unsigned char *bytes, size_t len)
{
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

static uint64_t rotate(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static void mix(uint64_t v[4], unsigned rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static void absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	mix(v, 2);
	v[0] ^= word;
}

static uint64_t siphash(const uint64_t key[2], const unsigned char *bytes, size_t len)
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
		          key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573 };
	size_t rest = len % 8;

	for (size_t i = 0; i < len - rest; i += 8)
		absorb(v, load_word(bytes + i, 8));
	absorb(v, (uint64_t)len << 56 | load_word(bytes + len - rest, rest));
	v[2] ^= 0xff;
	mix(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint32_t hash_key(const void *key, size_t key_len)
{
	static uint64_t secret[2];
	static bool drawn;

	if (!drawn && getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
		panic("getrandom: %m");
	drawn = true;
	return (uint32_t)siphash(secret, key, key_len);
}

/*
 * Linear probing: an entry lies at its hash's home slot or behind it with no free slot between,
 * which removal restores by moving entries back, so there are no tombstones.
 */

static struct map_slot *probe(const struct map *map, const void *key, size_t key_len, uint32_t hash)
{
	size_t mask = map->size - 1;
	size_t i = hash & mask;

	for (;; i = (i + 1) & mask) {
		struct map_slot *slot = &map->slots[i];

		if (slot->value == NULL)
			return slot;
		if (slot->hash == hash && slot->key_len == key_len &&
		    (key_len == 0 || memcmp(slot->key, key, key_len) == 0))
			return slot;
	}
}

static void resize(struct map *map, size_t size)
{
	struct map_slot *old = map->slots;
	size_t old_size = map->size;

	map->slots = mem_alloc(size, sizeof(*map->slots));
	map->size = size;
	for (size_t i = 0; i < old_size; i++) {
		if (old[i].value != NULL)
			*probe(map, old[i].key, old[i].key_len, old[i].hash) = old[i];
	}
	free(old);
}

void *map_get(const struct map *map, const void *key, size_t key_len)
{
	if (map->count == 0)
		return NULL;
	return probe(map, key, key_len, hash_key(key, key_len))->value;
}

void *map_put(struct map *map, const void *key, size_t key_len, void *value)
{
	uint32_t hash = hash_key(key, key_len);
	struct map_slot *slot;
	void *before;

	assert(value != NULL && key_len <= UINT32_MAX);
	if (map->count + 1 > map->size / 4 * 3)
		resize(map, map->size == 0 ? LEAST_SLOTS : 2 * map->size);
	slot = probe(map, key, key_len, hash);
	before = slot->value;
	if (before == NULL)
		map->count++;
	/* The key is replaced, too: the old one is part of the value that is returned. */
	*slot = (struct map_slot){ key, value, hash, (uint32_t)key_len };
	return before;
}

/* Moves back each entry behind the free slot HOLE that a probe could no longer reach over it. */
static void close_hole(struct map *map, size_t hole)
{
	size_t mask = map->size - 1;

	for (size_t i = (hole + 1) & mask; map->slots[i].value != NULL; i = (i + 1) & mask) {
		size_t home = map->slots[i].hash & mask;

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		map->slots[hole] = map->slots[i];
		map->slots[i].value = NULL;
		hole = i;
	}
}

void *map_remove(struct map *map, const void *key, size_t key_len)
{
	struct map_slot *slot;
	void *value;

	if (map->count == 0)
		return NULL;
	slot = probe(map, key, key_len, hash_key(key, key_len));
	value = slot->value;
	if (value == NULL)
		return NULL;
	slot->value = NULL;
	map->count--;
	close_hole(map, (size_t)(slot - map->slots));
	if (map->size > LEAST_SLOTS && map->count < map->size / 8)
		resize(map, map->size / 2);
	return value;
}

void *map_next(const struct map *map, size_t *cursor)
{
	while (*cursor < map->size) {
		void *value = map->slots[(*cursor)++].value;

		if (value != NULL)
			return value;
	}
	return NULL;
}

void map_release(struct map *map)
{
	free(map->slots);
	*map = (struct map){ 0 };
}
