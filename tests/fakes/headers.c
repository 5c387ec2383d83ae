#include "tests/fakes/headers.h"

#include <string.h>

int headers_add(struct buf *block, struct header header, size_t name_len, size_t value_len)
{
	if (block->max != 0 && buf_len(block) + name_len + value_len + 2 > block->max)
		return -1;
	buf_append(block, header.name, name_len);
	buf_append(block, "", 1);
	buf_append(block, header.value, value_len);
	buf_append(block, "", 1);
	return 0;
}

bool headers_next(const char *block, size_t len, size_t *cursor, struct header *header)
{
	if (*cursor >= len)
		return false;
	header->name = block + *cursor;
	header->value = header->name + strlen(header->name) + 1;
	*cursor = (size_t)(header->value - block) + strlen(header->value) + 1;
	return true;
}

const char *headers_find(const struct buf *block, const char *name)
{
	struct header header;
	size_t cursor = 0;

	while (headers_next(buf_data(block), buf_len(block), &cursor, &header)) {
		if (strcmp(header.name, name) == 0)
			return header.value;
	}
	return NULL;
}
