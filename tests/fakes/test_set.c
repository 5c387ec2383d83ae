#include "tests/fakes/test_set.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "tests/fakes/certificate.h"

/* What is being made; all owned. */
struct test_set {
	const char *dir;
	char *why;
	size_t why_size;
	EVP_PKEY *ca_key, *server_key, *apns_key, *client_key, *account_key;
	X509 *ca, *server, *client;
};

static int fail(struct test_set *set, const char *name, const char *reason)
{
	snprintf(set->why, set->why_size, "%s/%s: %s", set->dir, name, reason);
	return -1;
}

/* A new file NAME that only its owner reads if it is SECRET; NULL when it can't be made. */
static FILE *create(struct test_set *set, const char *name, bool secret)
{
	char *path = mem_printf("%s/%s", set->dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, secret ? 0600 : 0644);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (file == NULL)
		fail(set, name, strerror(errno));
	free(path);
	return file;
}

static int finish(struct test_set *set, const char *name, FILE *file, int good)
{
	if (fclose(file) != 0 || good != 1)
		return fail(set, name, "can't be written");
	return 0;
}

static int write_certificate(struct test_set *set, const char *name, X509 *certificate)
{
	FILE *file = create(set, name, false);

	if (file == NULL)
		return -1;
	return finish(set, name, file, PEM_write_X509(file, certificate));
}

/* PKCS #8, as Apple's .p8 files are. */
static int write_private(struct test_set *set, const char *name, EVP_PKEY *key)
{
	FILE *file = create(set, name, true);

	if (file == NULL)
		return -1;
	return finish(set, name, file,
	              PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
}

/* The certificate and its key in one file, as Apple's are kept once they are out of a .p12. */
static int write_client(struct test_set *set)
{
	FILE *file = create(set, TEST_SET_APNS_CERT, true);

	if (file == NULL)
		return -1;
	return finish(set, TEST_SET_APNS_CERT, file,
	              PEM_write_X509(file, set->client) == 1 &&
	                      PEM_write_PKCS8PrivateKey(file, set->client_key, NULL, NULL, 0, NULL,
	                                                NULL) == 1);
}

static int write_public(struct test_set *set, const char *name, EVP_PKEY *key)
{
	FILE *file = create(set, name, false);

	if (file == NULL)
		return -1;
	return finish(set, name, file, PEM_write_PUBKEY(file, key));
}

/* KEY as PEM text on the heap, a secret; NULL if OpenSSL fails. */
static char *private_text(EVP_PKEY *key)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char *bytes, *text = NULL;

	if (memory == NULL)
		return NULL;
	if (PEM_write_bio_PKCS8PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL) == 1) {
		long len = BIO_get_mem_data(memory, &bytes);

		text = mem_dup_bytes(bytes, (size_t)len);
	}
	BIO_free(memory);
	return text;
}

/* As Google's console hands it out. */
static int write_account(struct test_set *set, const struct test_set_account *account)
{
	char *key = private_text(set->account_key);
	FILE *file = key == NULL ? NULL : create(set, TEST_SET_ACCOUNT, true);
	json_t *json;
	int good;

	if (file == NULL) {
		mem_free_secret(key);
		return -1;
	}
	json = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "type", "service_account", "project_id",
	                 account->project, "private_key_id",
	                 "0123456789abcdef0123456789abcdef01234567", "private_key", key,
	                 "client_email", account->email, "token_uri", account->token_uri);
	good = json != NULL && json_dumpf(json, file, JSON_INDENT(2)) == 0;
	json_decref(json);
	mem_free_secret(key);
	return finish(set, TEST_SET_ACCOUNT, file, good);
}

/* The hosts that are played: of some senders' libraries no endpoint can be set. */
#define PLAYED                                                                                     \
	",DNS:api.push.apple.com,DNS:api.sandbox.push.apple.com,DNS:fcm.googleapis.com"            \
	",DNS:oauth2.googleapis.com"

/*
 * What the server is reached by: this machine, the hosts that it plays, and the host of TOKEN_URI
 * where that is a name (in a container it is that of the service). Heap.
 */
static char *server_names(const char *token_uri)
{
	static const char scheme[] = "https://";
	const char *host = token_uri;
	struct buf names = { 0 };
	size_t len;

	if (strncmp(host, scheme, sizeof(scheme) - 1) == 0)
		host += sizeof(scheme) - 1;
	len = strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-.");
	buf_text(&names, "DNS:localhost,IP:127.0.0.1,IP:::1" PLAYED);
	if (isalpha((unsigned char)*host) && strchr(":/", host[len]) != NULL)
		buf_printf(&names, ",DNS:%.*s", (int)len, host);
	return buf_take(&names);
}

static int make_credentials(struct test_set *set, const char *topic, const char *token_uri)
{
	char *names;

	set->ca_key = EVP_EC_gen("P-256");
	set->server_key = EVP_EC_gen("P-256");
	set->apns_key = EVP_EC_gen("P-256");
	set->client_key = EVP_RSA_gen(2048);
	set->account_key = EVP_RSA_gen(2048);
	if (set->ca_key == NULL || set->server_key == NULL || set->apns_key == NULL ||
	    set->client_key == NULL || set->account_key == NULL)
		return -1;
	set->ca = certificate_make_ca(set->ca_key);
	if (set->ca == NULL)
		return -1;
	names = server_names(token_uri);
	set->server = certificate_make_server(set->server_key, names, set->ca, set->ca_key);
	free(names);
	set->client = certificate_make_client(set->client_key, topic, set->ca, set->ca_key);
	return set->server == NULL || set->client == NULL ? -1 : 0;
}

static int write_all(struct test_set *set, const struct test_set_account *account)
{
	if (write_certificate(set, TEST_SET_CA, set->ca) < 0 ||
	    write_certificate(set, TEST_SET_CERT, set->server) < 0 ||
	    write_private(set, TEST_SET_KEY, set->server_key) < 0 ||
	    write_private(set, TEST_SET_APNS_PRIVATE, set->apns_key) < 0 || write_client(set) < 0 ||
	    write_public(set, TEST_SET_APNS_PUBLIC, set->apns_key) < 0 ||
	    write_public(set, TEST_SET_OAUTH_PUBLIC, set->account_key) < 0)
		return -1;
	return write_account(set, account);
}

static void release(struct test_set *set)
{
	EVP_PKEY_free(set->ca_key);
	EVP_PKEY_free(set->server_key);
	EVP_PKEY_free(set->apns_key);
	EVP_PKEY_free(set->client_key);
	EVP_PKEY_free(set->account_key);
	X509_free(set->client);
	X509_free(set->ca);
	X509_free(set->server);
}

int test_set_make(const char *dir, const char *topic, const struct test_set_account *account,
                  char *why, size_t size)
{
	struct test_set set = { .dir = dir, .why = why, .why_size = size };
	int result;

	snprintf(why, size, "%s: can't be made", dir);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
		snprintf(why, size, "%s: %s", dir, strerror(errno));
		return -1;
	}
	if (make_credentials(&set, topic, account->token_uri) < 0) {
		snprintf(why, size, "%s", ERR_reason_error_string(ERR_peek_last_error()));
		result = -1;
	} else {
		result = write_all(&set, account);
	}
	release(&set);
	return result;
}

void test_set_complete(struct test_set_account *account, const struct test_set_account *usual)
{
	if (account->project == NULL)
		account->project = usual->project;
	if (account->email == NULL)
		account->email = usual->email;
	if (account->token_uri == NULL)
		account->token_uri = usual->token_uri;
}

json_t *test_set_read_account(const char *dir, struct test_set_account *account)
{
	char *path = mem_printf("%s/%s", dir, TEST_SET_ACCOUNT);
	json_t *json = json_load_file(path, 0, NULL);
	struct test_set_account found = {
		json_string_value(json_object_get(json, "project_id")),
		json_string_value(json_object_get(json, "client_email")),
		json_string_value(json_object_get(json, "token_uri")),
	};

	free(path);
	test_set_complete(account, &found);
	return json;
}
