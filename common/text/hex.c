#include "common/text/hex.h"

#include <string.h>

static const char digits[] = "0123456789abcdef";

void hex_write(char *text, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * len] = '\0';
}

bool hex_is(const char *text, size_t len)
{
	return strspn(text, digits) == len && text[len] == '\0';
}
