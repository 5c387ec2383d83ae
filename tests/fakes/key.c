#include "tests/fakes/key.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool type_fits(const EVP_PKEY *key, int type)
{
	if (EVP_PKEY_get_base_id(key) != type)
		return false;
	return type != EVP_PKEY_EC || EVP_PKEY_get_bits(key) == 256;
}

EVP_PKEY *key_read(const char *file, int type, char *why, size_t size)
{
	FILE *stream = fopen(file, "re");
	EVP_PKEY *key;

	if (stream == NULL) {
		snprintf(why, size, "%s: %s", file, strerror(errno));
		return NULL;
	}
	key = PEM_read_PUBKEY(stream, NULL, NULL, NULL);
	fclose(stream);
	if (key != NULL && type_fits(key, type))
		return key;
	snprintf(why, size, "%s: must be a public key of type %s in PEM", file,
	         type == EVP_PKEY_EC ? "EC P-256" : "RSA");
	EVP_PKEY_free(key);
	return NULL;
}
