/*
 * Memory that never fails to come: allocation aborts when the machine has none left, since no
 * daemon can do anything useful then. Also the owner-by-offset macro and the wiping of secrets.
 */
#ifndef OG_COMMON_BASE_MEM_H
#define OG_COMMON_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

/* The struct of TYPE whose MEMBER is at PTR. */
#define container_of(ptr, type, member)                                                            \
	((type *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Zeroed heap memory for N items of SIZE bytes; aborts on overflow or when there is none. */
void *mem_alloc(size_t n, size_t size);

/* realloc() for N items of SIZE bytes that aborts instead of failing; new bytes aren't zeroed. */
void *mem_resize(void *old, size_t n, size_t size);

/* A heap copy of TEXT (NULL gives NULL); the caller frees it. */
char *mem_dup(const char *text);

/* A heap copy of LEN bytes with a NUL behind it; the caller frees it. */
char *mem_dup_bytes(const void *data, size_t len);

/*
 * Copies FROM into TO, which has SIZE bytes, up to the first byte that isn't visible ASCII, and
 * truncates it; NULL gives "". The result is safe in a log line and a metric, whoever sent FROM.
 */
void mem_copy_word(char *to, size_t size, const char *from);

/* Formats into a new heap string; the caller frees it. */
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Overwrites a secret's SIZE bytes in a way that the compiler may not remove. */
void mem_wipe(void *data, size_t size);

/* Wipes TEXT up to its NUL and frees it; NULL is fine. */
void mem_free_secret(char *text);

#endif
