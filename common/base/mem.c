#include "common/base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/panic.h"

static void *must(void *memory)
{
	if (memory == NULL)
		panic("out of memory");
	return memory;
}

void *mem_alloc(size_t n, size_t size)
{
	if (n == 0 || size == 0)
		n = size = 1;
	return must(calloc(n, size));
}

void *mem_resize(void *old, size_t n, size_t size)
{
	if (n == 0 || size == 0)
		n = size = 1;
	return must(reallocarray(old, n, size));
}

char *mem_dup(const char *text)
{
	return text == NULL ? NULL : mem_dup_bytes(text, strlen(text));
}

char *mem_dup_bytes(const void *data, size_t len)
{
	char *copy;

	if (len == SIZE_MAX)
		must(NULL);
	copy = must(malloc(len + 1));
	if (len > 0)
		memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}

void mem_copy_word(char *to, size_t size, const char *from)
{
	size_t len = 0;

	for (; from != NULL && from[len] > ' ' && from[len] <= '~' && len + 1 < size; len++)
		to[len] = from[len];
	to[len] = '\0';
}

char *mem_printf(const char *format, ...)
{
	va_list args;
	char *text = NULL;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	return must(len < 0 ? NULL : text);
}

void mem_wipe(void *data, size_t size)
{
	if (size > 0)
		explicit_bzero(data, size);
}

void mem_free_secret(char *text)
{
	if (text == NULL)
		return;
	mem_wipe(text, strlen(text));
	free(text);
}
