/*
 * Small files (configuration, keys, certificates, secrets) read whole into memory.
 */
#ifndef OG_COMMON_BASE_FILE_H
#define OG_COMMON_BASE_FILE_H

#include <stddef.h>

/*
 * The content of PATH with a NUL behind it, on the heap, and its length in *LEN. The caller frees
 * it; the copy is the only one, so mem_wipe() on it is enough for a secret. NULL with errno: EFBIG
 * over MAX bytes.
 */
char *file_read(const char *path, size_t max, size_t *len);

#endif
