#include "common/base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/panic.h"

#define LEAST_BYTES 256 /* the first allocation */

static int check_cap(const struct buf *buf, size_t len)
{
	size_t have = buf_len(buf);

	if (buf->max == 0)
		return 0;
	return have > buf->max || len > buf->max - have ? -1 : 0;
}

/*
 * Makes room for LEN more bytes behind the end. Bytes are only moved to the front when at least as
 * many were consumed, so that appending stays linear in the bytes that pass through.
 */
static void reserve(struct buf *buf, size_t len)
{
	size_t have = buf_len(buf);
	size_t size = buf->size == 0 ? LEAST_BYTES : buf->size;

	if (buf->size - buf->end >= len)
		return;
	if (buf->start > 0 && buf->start >= have) {
		memmove(buf->bytes, buf->bytes + buf->start, have);
		buf->start = 0;
		buf->end = have;
	}
	if (len > SIZE_MAX / 4 - buf->end)
		panic("a buffer of %zu and %zu bytes", buf->end, len);
	while (size < buf->end + len)
		size *= 2;
	if (size == buf->size)
		return;
	buf->bytes = mem_resize(buf->bytes, size, 1);
	buf->size = size;
}

int buf_append(struct buf *buf, const void *data, size_t len)
{
	if (check_cap(buf, len) < 0)
		return -1;
	if (len == 0)
		return 0;
	reserve(buf, len);
	memcpy(buf->bytes + buf->end, data, len);
	buf->end += len;
	return 0;
}

int buf_text(struct buf *buf, const char *text)
{
	return buf_append(buf, text, strlen(text));
}

int buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		panic("vsnprintf: %m");
	if (check_cap(buf, (size_t)len) < 0)
		return -1;
	if (len == 0)
		return 0;
	reserve(buf, (size_t)len + 1); /* vsnprintf() puts a NUL behind */
	va_start(args, format);
	vsnprintf(buf->bytes + buf->end, (size_t)len + 1, format, args);
	va_end(args);
	buf->end += (size_t)len;
	return 0;
}

void buf_consume(struct buf *buf, size_t len)
{
	if (len < buf_len(buf))
		buf->start += len;
	else
		buf_release(buf);
}

int buf_flush(struct buf *buf, int fd)
{
	while (buf_len(buf) > 0) {
		ssize_t count = write(fd, buf_data(buf), buf_len(buf));

		if (count > 0)
			buf_consume(buf, (size_t)count);
		else if (count == 0 || errno == EAGAIN)
			return 0;
		else if (errno != EINTR)
			return -1;
	}
	return 0;
}

char *buf_take(struct buf *buf)
{
	size_t len = buf_len(buf);
	char *text = buf->bytes;

	if (text != NULL && buf->start > 0)
		memmove(text, text + buf->start, len);
	text = mem_resize(text, len + 1, 1);
	text[len] = '\0';
	buf->bytes = NULL;
	buf_release(buf);
	return text;
}

void buf_release(struct buf *buf)
{
	free(buf->bytes);
	buf->bytes = NULL;
	buf->start = buf->end = buf->size = 0;
}
