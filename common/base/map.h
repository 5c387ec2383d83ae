/*
 * A hash map from byte strings to pointers. Hashing is keyed per process (SipHash), since keys come
 * from the network. Keys are borrowed: they must stay in place while their entry is in the map,
 * which is natural when they are part of the value. All zeros is an empty map.
 */
#ifndef OG_COMMON_BASE_MAP_H
#define OG_COMMON_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_slot {
	const void *key;
	void *value; /* NULL: free */
	uint32_t hash;
	uint32_t key_len;
};

struct map {
	struct map_slot *slots; /* heap, owned */
	size_t size;            /* a power of two, or 0 */
	size_t count;
};

/* The value under KEY, or NULL. */
void *map_get(const struct map *map, const void *key, size_t key_len);

/* Puts VALUE (not NULL) under KEY; returns the value that was there before, or NULL. */
void *map_put(struct map *map, const void *key, size_t key_len, void *value);

/* Removes KEY; returns its value, or NULL when there was none. */
void *map_remove(struct map *map, const void *key, size_t key_len);

/*
 * Steps through the values in no order: *CURSOR starts at 0; NULL at the end. The map must not
 * change.
 */
void *map_next(const struct map *map, size_t *cursor);

/* Frees the table, not the values. */
void map_release(struct map *map);

#endif
