#include "pushd/sender/uuid.h"

#include <openssl/rand.h>
#include <stdlib.h>

#include "common/base/panic.h"

#define UUID_BYTES 16
#define STOCK 64 /* UUIDs whose bytes are fetched together: what a call costs isn't the bytes */

static unsigned char *take_random(void)
{
	static unsigned char stock[STOCK][UUID_BYTES];
	static unsigned taken = STOCK;

	if (taken == STOCK) {
		if (RAND_bytes(stock[0], sizeof(stock)) != 1)
			panic("RAND_bytes");
		taken = 0;
	}
	return stock[taken++];
}

void uuid_make(char text[UUID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char *bytes = take_random();

	bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
	for (int i = 0; i < UUID_BYTES; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}
