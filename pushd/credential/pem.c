#include "pushd/credential/pem.h"

#include <openssl/pem.h>

#include "common/base/mem.h"
#include "common/base/panic.h"

char *pem_take(BIO *bio)
{
	char *bytes, *text;
	long len = BIO_get_mem_data(bio, &bytes);

	text = mem_dup_bytes(bytes, (size_t)len);
	mem_wipe(bytes, (size_t)len);
	BIO_free(bio);
	return text;
}

char *pem_private_key(const EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_secmem());

	if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		panic("PEM_write_bio_PKCS8PrivateKey");
	return pem_take(bio);
}
