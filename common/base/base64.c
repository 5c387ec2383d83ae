#include "common/base/base64.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t len)
{
	const unsigned char *bytes = data;
	char *text = mem_alloc(len / 3 + 2, 4), *out = text;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t group = (uint32_t)bytes[i] << 16;

		if (i + 1 < len)
			group |= (uint32_t)bytes[i + 1] << 8;
		if (i + 2 < len)
			group |= bytes[i + 2];
		*out++ = digits[group >> 18];
		*out++ = digits[group >> 12 & 63];
		*out++ = i + 1 < len ? digits[group >> 6 & 63] : '=';
		*out++ = i + 2 < len ? digits[group & 63] : '=';
	}
	*out = '\0';
	return text;
}

/* The six bits that C stands for; -1 for none. */
static int value_of(char c)
{
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

static size_t skip_blanks(const char *text)
{
	return strspn(text, " \t\r\n");
}

/* True if TEXT ends as COUNT digits do: with the padding that they need, or without any. */
static int ends_well(const char *text, size_t count)
{
	size_t padding = 0;

	for (text += skip_blanks(text); *text == '='; text += skip_blanks(text)) {
		padding++;
		text++;
	}
	return *text == '\0' && count % 4 != 1 && (padding == 0 || padding == (4 - count % 4) % 4);
}

char *base64_decode(const char *text, size_t *len)
{
	char *bytes = mem_alloc(strlen(text) / 4 + 2, 3), *out = bytes;
	uint32_t group = 0;
	size_t count = 0;
	int value;

	for (text += skip_blanks(text); (value = value_of(*text)) >= 0; text += skip_blanks(text)) {
		group = group << 6 | (uint32_t)value;
		if (count % 4 != 0)
			*out++ = (char)(group >> (6 - 2 * (count % 4)));
		count++;
		text++;
	}
	if (!ends_well(text, count)) {
		mem_wipe(bytes, (size_t)(out - bytes));
		free(bytes);
		return NULL;
	}
	*out = '\0';
	*len = (size_t)(out - bytes);
	return bytes;
}
