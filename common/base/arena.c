#include "common/base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/panic.h"

#define ALIGNMENT _Alignof(max_align_t)
#define BLOCK_BYTES 4096 /* of a usual block, with its header */

struct arena_block {
	struct arena_block *next; /* older */
	size_t size;              /* bytes behind this header */
	size_t used;
	_Alignas(max_align_t) char bytes[];
};

#define USUAL_SIZE (BLOCK_BYTES - sizeof(struct arena_block))

static struct arena_block *add_block(struct arena *arena, size_t size)
{
	struct arena_block *block;

	if (size < USUAL_SIZE)
		size = USUAL_SIZE;
	if (size > SIZE_MAX - sizeof(*block))
		panic("%zu bytes of an arena", size);
	block = mem_resize(NULL, 1, sizeof(*block) + size);
	block->next = arena->blocks;
	block->size = size;
	block->used = 0;
	arena->blocks = block;
	return block;
}

/* SIZE bytes, uninitialised, at a multiple of ALIGN. Padding counts against the cap too. */
static void *take(struct arena *arena, size_t size, size_t align)
{
	struct arena_block *block = arena->blocks;
	size_t padding = block == NULL ? 0 : -block->used & (align - 1);
	char *bytes;

	if (block == NULL || size > block->size || block->used + padding > block->size - size) {
		block = NULL;
		padding = 0;
	}
	if (arena->max != 0 && (size > arena->max || arena->used + padding > arena->max - size))
		return NULL;
	if (block == NULL)
		block = add_block(arena, size);
	bytes = block->bytes + block->used + padding;
	block->used += padding + size;
	arena->used += padding + size;
	return bytes;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	void *bytes = take(arena, size, ALIGNMENT);

	return bytes == NULL ? NULL : memset(bytes, 0, size);
}

char *arena_dup(struct arena *arena, const char *text, size_t len)
{
	char *copy = len == SIZE_MAX ? NULL : take(arena, len + 1, 1);

	if (copy == NULL)
		return NULL;
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

void arena_reset(struct arena *arena)
{
	struct arena_block *kept = NULL;

	while (arena->blocks != NULL) {
		struct arena_block *block = arena->blocks;

		arena->blocks = block->next;
		if (kept == NULL && block->size == USUAL_SIZE)
			kept = block;
		else
			free(block);
	}
	if (kept != NULL) {
		kept->next = NULL;
		kept->used = 0;
	}
	arena->blocks = kept;
	arena->used = 0;
}

void arena_release(struct arena *arena)
{
	arena_reset(arena);
	free(arena->blocks);
	arena->blocks = NULL;
}
