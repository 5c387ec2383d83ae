#include "common/text/percent.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/mem.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *percent_decode(const char *text, size_t len)
{
	char *out = mem_alloc(len + 1, 1);
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		bool whole = i + 2 < len;
		int high, low;

		if (text[i] != '%') {
			out[used++] = text[i];
			continue;
		}
		high = whole ? hex_digit(text[i + 1]) : -1;
		low = whole ? hex_digit(text[i + 2]) : -1;
		if (high < 0 || low < 0 || high + low == 0) {
			mem_free_secret(out);
			return NULL;
		}
		out[used++] = (char)(high << 4 | low);
		i += 2;
	}
	return out;
}

char *percent_encode(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *out = mem_alloc(strlen(text) + 1, 3), *end = out;

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c < 0x80 && isalnum(c)) || strchr("-._~", c) != NULL) {
			*end++ = *text;
			continue;
		}
		*end++ = '%';
		*end++ = digits[c >> 4];
		*end++ = digits[c & 15];
	}
	return out;
}
