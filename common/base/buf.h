/*
 * A queue of bytes: appended at the end, consumed at the start. All zeros is an empty buffer
 * without a cap. Functions return 0, or -1 if the buffer would grow beyond its cap (it is then
 * unchanged). The process aborts when memory runs out.
 */
#ifndef OG_COMMON_BASE_BUF_H
#define OG_COMMON_BASE_BUF_H

#include <stddef.h>
#include <sys/types.h>

struct buf {
	char *bytes;  /* heap, owned; NULL while empty */
	size_t start; /* where the unconsumed bytes begin */
	size_t end;   /* where they end */
	size_t size;  /* allocated */
	size_t max;   /* most unconsumed bytes; 0 means no cap */
};

static inline const char *buf_data(const struct buf *buf)
{
	return buf->bytes != NULL ? buf->bytes + buf->start : NULL;
}

static inline size_t buf_len(const struct buf *buf)
{
	return buf->end - buf->start;
}

int buf_append(struct buf *buf, const void *data, size_t len);
int buf_text(struct buf *buf, const char *text);
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops the first LEN bytes (at most buf_len()); the memory is freed when the buffer is empty. */
void buf_consume(struct buf *buf, size_t len);

/*
 * Writes what is queued to FD until it is empty or the kernel takes no more. 0, or -1 with errno
 * (EPIPE too: loop_init() ignores the signal).
 */
int buf_flush(struct buf *buf, int fd);

/* The content as a NUL-terminated heap string that the caller owns; the buffer is empty after. */
char *buf_take(struct buf *buf);

/* Empties it, and keeps its memory for what comes next. */
static inline void buf_clear(struct buf *buf)
{
	buf->start = buf->end = 0;
}

/* Frees the memory; the buffer is empty and may be used again, with the same cap. */
void buf_release(struct buf *buf);

#endif
