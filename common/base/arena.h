/*
 * An arena: many small allocations that are freed at once. All zeros is empty. A cap bounds
 * what one conversation can make us hold.
 */
#ifndef OG_COMMON_BASE_ARENA_H
#define OG_COMMON_BASE_ARENA_H

#include <stddef.h>

struct arena {
	struct arena_block *blocks; /* newest first, owned */
	size_t used;                /* bytes handed out */
	size_t max;                 /* most bytes to hand out; 0 means no cap */
};

/* SIZE zeroed bytes, aligned for any type; NULL beyond the cap. */
void *arena_alloc(struct arena *arena, size_t size);

/* A copy of LEN bytes with a NUL behind it; NULL beyond the cap. */
char *arena_dup(struct arena *arena, const char *text, size_t len);

/* Frees everything but one block of the usual 4 KiB, which is kept for the next use. */
void arena_reset(struct arena *arena);

/* Frees everything. */
void arena_release(struct arena *arena);

#endif
