#include "pushd/device/device_key.h"

#include <ctype.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "pushd/device/dialect.h"

static const char digits[] = "0123456789abcdef";

static void write_hex(char *hex, const unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		*hex++ = digits[bytes[i] >> 4];
		*hex++ = digits[bytes[i] & 15];
	}
	*hex = '\0';
}

void device_key_random(char hex[DEVICE_HEX])
{
	unsigned char bytes[DEVICE_HEX / 2];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		abort();
	write_hex(hex, bytes, sizeof(bytes));
}

bool device_key_is_node(const char *text)
{
	return strlen(text) == DEVICE_HEX - 1 && strspn(text, digits) == DEVICE_HEX - 1;
}

static void hash(const void *bytes, size_t len, char hex[DEVICE_KEY_HEX])
{
	unsigned char sum[SHA256_DIGEST_LENGTH];

	SHA256(bytes, len, sum);
	write_hex(hex, sum, sizeof(sum));
}

void device_key_hash(const struct device *device, char hex[DEVICE_KEY_HEX])
{
	const struct dialect *dialect = dialect_find(device->dialect);
	bool by_id = dialect != NULL && dialect->by_device_id && device->device_id != NULL;
	const char *parts[] = { device->component, device->owner, device->provider,
		                by_id ? "id" : "token", by_id ? device->device_id : device->token };
	struct buf text = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		buf_append(&text, parts[i], strlen(parts[i]) + 1);
	hash(buf_data(&text), buf_len(&text), hex);
	buf_release(&text);
}

void device_key_pin(const struct device *pin, char node[DEVICE_HEX])
{
	char hex[DEVICE_KEY_HEX];

	device_key_hash(pin, hex);
	memcpy(node, hex, DEVICE_HEX - 1);
	node[DEVICE_HEX - 1] = '\0';
}

void device_key_dead(const char *provider, const char *token, char hex[SHA1_TEXT_SIZE])
{
	char *text = mem_printf("%s:%s", provider, token);

	sha1_text(text, strlen(text), hex);
	free(text);
}

void device_key_token(const char *token, char hex[DEVICE_KEY_HEX])
{
	char *lower = mem_dup(token);

	for (char *c = lower; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	hash(lower, strlen(lower), hex);
	mem_free_secret(lower);
}
