#include "pushd/credential/identity.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/panic.h"

#define PEM_MAX (256 * 1024)

/* Reads a PEM file; NULL after logging why. */
static char *read_pem(const char *path, size_t *len)
{
	char *pem = file_read(path, PEM_MAX, len);

	if (pem == NULL)
		log_error("file-unreadable path=%s reason=\"%s\"", path, strerror(errno));
	return pem;
}

void identity_release(struct identity *identity)
{
	if (identity->key != NULL)
		mem_wipe(identity->key, identity->key_len);
	free(identity->key);
	free(identity->certificate);
}

bool identity_read(struct identity *identity, const char *cert_file, const char *key_file)
{
	size_t len;

	*identity = (struct identity){ 0 };
	if (cert_file == NULL)
		return true;
	identity->certificate = read_pem(cert_file, &len);
	identity->key = read_pem(key_file, &identity->key_len);
	return identity->certificate != NULL && identity->key != NULL;
}

/* Without this OpenSSL would ask the terminal for the password of a key. */
static int give_no_password(char *buf, int size, int writing, void *user)
{
	return -1;
}

/* OpenSSL has no text for errors of the system. */
static const char *tls_error(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());

	return text != NULL ? text : "it can't be read";
}

char *identity_check(const char *cert_file, const char *key_file)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	char *why = NULL;

	if (context == NULL)
		panic("SSL_CTX_new");
	SSL_CTX_set_default_passwd_cb(context, give_no_password);
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(context, cert_file) != 1)
		why = mem_printf("cert-file %s: %s", cert_file, tls_error());
	else if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
		why = mem_printf("key-file %s, with cert-file %s: %s", key_file, cert_file,
		                 tls_error());
	ERR_clear_error();
	SSL_CTX_free(context);
	return why;
}
