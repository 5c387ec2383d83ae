#include "pushd/credential/sealed_store.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/panic.h"
#include "common/daemon.h"
#include "pushd/conf.h"
#include "pushd/credential/reseal.lua.h"
#include "pushd/db.h"

#define FILE_MAX 1024
#define KEY_BYTES 32
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define EXTRA_BYTES (1 + NONCE_BYTES + TAG_BYTES)
#define FORM 1 /* the first byte: a form of today's; others may follow */

struct master_key {
	unsigned char bytes[KEY_BYTES];
};

static struct master_key *master; /* NULL: none */
static struct master_key *also;   /* opens what MASTER doesn't; NULL: none */

static struct redis_script reseal_script = { reseal_lua };

/* ---- sealing ---- */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads 64 hex digits, blanks and line ends around them; 0, or -1 if TEXT isn't that. */
static int read_key(struct master_key *key, const char *text)
{
	text += strspn(text, " \t\r\n");
	for (size_t i = 0; i < KEY_BYTES; i++, text += 2) {
		int high = digit_of(text[0]);
		int low = high < 0 ? -1 : digit_of(text[1]);

		if (low < 0) {
			mem_wipe(key, sizeof(*key));
			return -1;
		}
		key->bytes[i] = (unsigned char)(high << 4 | low);
	}
	if (text[strspn(text, " \t\r\n")] == '\0')
		return 0;
	mem_wipe(key, sizeof(*key));
	return -1;
}

static void must(bool good)
{
	if (!good)
		panic("AES-256-GCM");
}

/*
 * TEXT sealed for PURPOSE, in base64, heap: AES-256-GCM with a nonce of its own. Its bytes are
 * FORM, the nonce, the text and the tag.
 */
static char *seal(const struct master_key *key, const char *purpose, const char *text)
{
	size_t len = strlen(text);
	unsigned char *sealed = mem_alloc(len + EXTRA_BYTES, 1), *body = sealed + 1 + NONCE_BYTES;
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	char *result;
	int n;

	sealed[0] = FORM;
	must(context != NULL && RAND_bytes(sealed + 1, NONCE_BYTES) == 1);
	must(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, sealed + 1) == 1);
	must(EVP_EncryptUpdate(context, NULL, &n, sealed, 1) == 1);
	must(EVP_EncryptUpdate(context, NULL, &n, (const unsigned char *)purpose,
	                       (int)strlen(purpose)) == 1);
	must(EVP_EncryptUpdate(context, body, &n, (const unsigned char *)text, (int)len) == 1);
	must(EVP_EncryptFinal_ex(context, body + n, &n) == 1);
	must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, body + len) == 1);
	EVP_CIPHER_CTX_free(context);
	result = base64_encode(sealed, len + EXTRA_BYTES);
	free(sealed);
	return result;
}

/* Decrypts LEN bytes behind the nonce at SEALED into TEXT; false unless the tag is right. */
static bool decrypt(const struct master_key *key, const char *purpose, unsigned char *sealed,
                    size_t len, unsigned char *text)
{
	unsigned char *body = sealed + 1 + NONCE_BYTES;
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	bool good;
	int n;

	must(context != NULL);
	must(EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, sealed + 1) == 1);
	must(EVP_DecryptUpdate(context, NULL, &n, sealed, 1) == 1);
	must(EVP_DecryptUpdate(context, NULL, &n, (const unsigned char *)purpose,
	                       (int)strlen(purpose)) == 1);
	must(EVP_DecryptUpdate(context, text, &n, body, (int)len) == 1);
	must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, body + len) == 1);
	good = EVP_DecryptFinal_ex(context, text + n, &n) == 1;
	EVP_CIPHER_CTX_free(context);
	return good;
}

/*
 * The text in SEALED, a secret on the heap; NULL when it was sealed with another key or for another
 * purpose, or was tampered with.
 */
static char *unseal(const struct master_key *key, const char *purpose, const char *sealed)
{
	size_t len;
	char *bytes = base64_decode(sealed, &len), *text = NULL;

	if (bytes != NULL && len >= EXTRA_BYTES && bytes[0] == FORM) {
		size_t text_len = len - EXTRA_BYTES;

		text = mem_alloc(text_len + 1, 1);
		if (!decrypt(key, purpose, (unsigned char *)bytes, text_len,
		             (unsigned char *)text)) {
			mem_wipe(text, text_len);
			free(text);
			text = NULL;
		}
	}
	free(bytes);
	return text;
}

/* ---- the master key ---- */

/* The key in the file at PATH; NULL with *WHY (heap). */
static struct master_key *read_master(const char *path, char **why)
{
	struct master_key *key = mem_alloc(1, sizeof(*key));
	size_t len;
	char *text = file_read(path, FILE_MAX, &len);

	*why = NULL;
	if (text == NULL)
		*why = mem_printf("%s: %s", path, strerror(errno));
	else if (read_key(key, text) != 0)
		*why = mem_printf("%s has no key of 32 bytes in 64 hex digits", path);
	mem_free_secret(text);
	if (*why == NULL)
		return key;
	free(key);
	return NULL;
}

static void drop_master(struct master_key *key)
{
	mem_wipe(key, sizeof(*key));
	free(key);
}

int sealed_store_check(const char *path, char **why)
{
	struct master_key *key = read_master(path, why);

	if (key == NULL)
		return -1;
	drop_master(key);
	return 0;
}

static struct master_key *start_key(const char *name, const char *path)
{
	char *why;
	struct master_key *key = read_master(path, &why);

	if (key == NULL)
		log_error("config-refused reason=\"%s %s\"", name, why);
	free(why);
	return key;
}

static int start(void *config)
{
	const struct conf_daemon *daemon = &((const struct conf *)config)->daemon;

	if (daemon->master_key_file == NULL)
		return 0;
	master = start_key("master-key-file", daemon->master_key_file);
	if (master == NULL)
		return -1;
	if (daemon->master_key_file_also == NULL)
		return 0;
	also = start_key("master-key-file-also", daemon->master_key_file_also);
	return also != NULL ? 0 : -1;
}

static void stop(void)
{
	if (master != NULL)
		drop_master(master);
	if (also != NULL)
		drop_master(also);
	master = also = NULL;
}

bool sealed_store_usable(void)
{
	return master != NULL;
}

/* ---- getting ---- */

/* Remembers SEALED (NULL: nothing) as what was got last; the resealing of the one before ends. */
static void see(struct sealed_store_call *call, const char *sealed)
{
	redis_cancel(&call->reseal);
	free(call->anew);
	call->anew = NULL;
	free(call->seen);
	call->seen = mem_dup(sealed);
}

/* After a failure nothing counts as seen, so the next get reseals again. */
static void on_resealed(struct redis_call *redis, const struct redisReply *reply)
{
	struct sealed_store_call *call = container_of(redis, struct sealed_store_call, reseal);
	bool done = redis_reply_integer(reply, 0) == 1;
	char *anew = call->anew;

	call->anew = NULL;
	see(call, done ? anew : NULL);
	free(anew);
	if (done)
		log_info("sealed-anew key=%s", call->name);
}

/* Replaces what CALL has seen, which holds TEXT. */
static void reseal(struct sealed_store_call *call, const char *text)
{
	char *key = mem_printf("%s%s", redis_prefix(db_redis()), call->name);

	call->anew = seal(master, call->name, text);
	call->reseal.done = on_resealed;
	redis_eval(db_redis(), &call->reseal, &reseal_script,
	           &(struct redis_args){ 1, 3, (const char *[]){ key, call->seen, call->anew } });
	free(key);
}

static void take_sealed(struct sealed_store_call *call, const char *sealed)
{
	char *text;

	if (call->seen != NULL && strcmp(call->seen, sealed) == 0) {
		call->done(call, SEALED_SAME, NULL);
		return;
	}
	see(call, sealed);
	text = unseal(master, call->name, sealed);
	if (text == NULL && also != NULL) {
		text = unseal(also, call->name, sealed);
		if (text != NULL)
			reseal(call, text);
	}
	call->done(call, text != NULL ? SEALED_DONE : SEALED_UNREADABLE, text);
	mem_free_secret(text);
}

static void on_got(struct redis_call *redis, const struct redisReply *reply)
{
	struct sealed_store_call *call = container_of(redis, struct sealed_store_call, redis);
	const char *sealed = redis_reply_string(reply, NULL);

	if (reply == NULL || redis_reply_error(reply) != NULL) {
		call->done(call, SEALED_UNAVAILABLE, NULL);
	} else if (sealed == NULL) {
		see(call, NULL);
		call->done(call, SEALED_NONE, NULL);
	} else {
		take_sealed(call, sealed);
	}
}

void sealed_store_get(struct sealed_store_call *call, const char *name)
{
	assert(sealed_store_usable() && !sealed_store_busy(call));
	if (call->name == NULL || strcmp(call->name, name) != 0) {
		see(call, NULL);
		free(call->name);
		call->name = mem_dup(name);
	}
	call->redis.done = on_got;
	redis_command(db_redis(), &call->redis, "GET %s%s", redis_prefix(db_redis()), name);
}

/* ---- the rest ---- */

static void on_settled(struct redis_call *redis, const struct redisReply *reply)
{
	struct sealed_store_call *call = container_of(redis, struct sealed_store_call, redis);
	enum sealed_store_result result = SEALED_DONE;

	if (reply == NULL)
		result = SEALED_UNAVAILABLE;
	else if (redis_reply_error(reply) != NULL)
		result = SEALED_REFUSED;
	else if (redis_reply_nil(reply))
		result = SEALED_NONE;
	call->done(call, result, NULL);
}

void sealed_store_put(struct sealed_store_call *call, const char *name, const char *text,
                      int64_t life_ms)
{
	const char *prefix = redis_prefix(db_redis());
	char *sealed;

	assert(sealed_store_usable() && !sealed_store_busy(call));
	sealed = seal(master, name, text);
	call->redis.done = on_settled;
	if (life_ms > 0)
		redis_command(db_redis(), &call->redis, "SET %s%s %s PX %lld", prefix, name, sealed,
		              (long long)life_ms);
	else
		redis_command(db_redis(), &call->redis, "SET %s%s %s", prefix, name, sealed);
	free(sealed);
}

void sealed_store_remove(struct sealed_store_call *call, const char *name)
{
	assert(sealed_store_usable() && !sealed_store_busy(call));
	call->redis.done = on_settled;
	redis_command(db_redis(), &call->redis, "DEL %s%s", redis_prefix(db_redis()), name);
}

void sealed_store_lock(struct sealed_store_call *call, const char *name, int64_t life_ms)
{
	assert(sealed_store_usable() && !sealed_store_busy(call));
	call->redis.done = on_settled;
	redis_command(db_redis(), &call->redis, "SET %s%s 1 NX PX %lld", redis_prefix(db_redis()),
	              name, (long long)life_ms);
}

void sealed_store_forget(struct sealed_store_call *call)
{
	redis_cancel(&call->redis);
	see(call, NULL);
	free(call->name);
	call->name = NULL;
}

const struct daemon_module sealed_store_module = { "sealed_store", start, stop };
