#include "pushd/credential/pem.h"

#include "common/base/mem.h"

char *pem_take(BIO *bio)
{
	char *bytes, *text;
	long len = BIO_get_mem_data(bio, &bytes);

	text = mem_dup_bytes(bytes, (size_t)len);
	mem_wipe(bytes, (size_t)len);
	BIO_free(bio);
	return text;
}
