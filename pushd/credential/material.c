#include "pushd/credential/material.h"

#include <assert.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "pushd/provider/kinds.h"

#define NAME_MAX_BYTES 64 /* of a key's id and a team's; Apple's have 10 */

const char *const material_forms[] = {
	[MATERIAL_KEY] = "key",
	[MATERIAL_CERTIFICATE] = "certificate",
	[MATERIAL_ACCOUNT] = "service-account",
};

char *material_date(int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char text[32];
	struct tm date;

	if (gmtime_r(&s, &date) == NULL || strftime(text, sizeof(text), "%Y-%m-%d", &date) == 0)
		return mem_dup("an unknown date");
	return mem_dup(text);
}

/* ---- what names it ---- */

/* The SHA-256 of TEXTS (ended by NULL), each with its NUL, in hex. */
static void print_fingerprint(struct material *material, const char *const *texts)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;

	if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
		abort();
	for (; *texts != NULL; texts++)
		EVP_DigestUpdate(context, *texts, strlen(*texts) + 1);
	EVP_DigestFinal_ex(context, digest, &len);
	EVP_MD_CTX_free(context);
	for (unsigned i = 0; i < len; i++)
		snprintf(material->fingerprint + 2 * i, 3, "%02x", digest[i]);
}

/* ---- the three forms: NULL, or what is wrong (heap) ---- */

static bool is_name(const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0;

	return len > 0 && len <= NAME_MAX_BYTES &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") ==
	               len;
}

static char *read_key(struct material *material, const struct conf_provider *provider,
                      const struct material_source *source)
{
	const char *key_id = source->key_id != NULL ? source->key_id : provider->key_id;
	const char *team_id = source->team_id != NULL ? source->team_id : provider->team_id;
	const char *fault;
	char *public;

	material->key = jwt_key_read(source->bytes, source->len, JWT_ES256, &fault);
	if (material->key == NULL)
		return mem_dup(fault);
	if (!is_name(key_id) || !is_name(team_id))
		return mem_dup("needs the key's id and the team's id, of letters and digits");
	if (provider->topic == NULL)
		return mem_dup("names no topic, as a certificate does: topic must be configured");
	material->key_id = mem_dup(key_id);
	material->team_id = mem_dup(team_id);
	public = jwt_key_public(material->key);
	print_fingerprint(material, (const char *const[]){ "key", key_id, team_id, public, NULL });
	free(public);
	return NULL;
}

static char *judge_topic(const struct certificate *certificate, const char *topic)
{
	if (topic == NULL)
		return certificate->topic != NULL ? NULL
		                                  : mem_dup("names no topic (UID of its subject): "
		                                            "topic must be configured");
	if (certificate_serves(certificate, topic))
		return NULL;
	if (certificate->topic == NULL && certificate->topics == NULL)
		return mem_printf("names no topic, so it isn't for %s", topic);
	return mem_printf("is for the topic %s, not for %s",
	                  certificate->topic != NULL ? certificate->topic : certificate->topics[0],
	                  topic);
}

/* Old certificates are for one of Apple's worlds, and say which; those of today are for both. */
static char *judge_world(const struct certificate *certificate,
                         const struct conf_provider *provider)
{
	bool sandbox = provider->environment == CONF_SANDBOX;

	if (certificate->sandbox == certificate->production || certificate->sandbox == sandbox)
		return NULL;
	return mem_printf("is for Apple's %s alone, and the provider's environment is %s",
	                  certificate->sandbox ? "sandbox" : "production",
	                  sandbox ? "sandbox" : "production");
}

static char *read_certificate(struct material *material, const struct conf_provider *provider,
                              const struct material_source *source)
{
	struct certificate *certificate = &material->certificate;
	const char *fault;
	char *why;

	material->form = MATERIAL_CERTIFICATE;
	if (certificate_read(certificate, source->bytes, source->len, source->password, &fault) !=
	    0)
		return mem_dup(fault);
	print_fingerprint(material,
	                  (const char *const[]){ "certificate", certificate->fingerprint, NULL });
	why = judge_topic(certificate, provider->topic);
	return why != NULL ? why : judge_world(certificate, provider);
}

static char *read_account(struct material *material, const struct conf_provider *provider,
                          const struct material_source *source)
{
	struct service_account *account = &material->account;
	const char *fault;
	char *public;

	material->form = MATERIAL_ACCOUNT;
	if (service_account_read(account, source->bytes, source->len, &fault) != 0)
		return mem_dup(fault);
	if (provider->project_id == NULL && account->project_id == NULL)
		return mem_dup("names no project: project-id is needed");
	public = jwt_key_public(account->key);
	print_fingerprint(material, (const char *const[]){ "service-account", account->client_email,
	                                                   account->private_key_id,
	                                                   account->token_uri, public, NULL });
	free(public);
	return NULL;
}

static bool contains(const struct material_source *source, const char *text)
{
	return memmem(source->bytes, source->len, text, strlen(text)) != NULL;
}

/* A .p12 is DER, whose first byte says: a sequence. */
static char *read_any(struct material *material, const struct conf_provider *provider,
                      const struct material_source *source)
{
	if (provider_kinds[provider->kind]->scheme == SCHEME_OAUTH)
		return read_account(material, provider, source);
	if (contains(source, "-----BEGIN CERTIFICATE-----") || source->bytes[0] == 0x30)
		return read_certificate(material, provider, source);
	if (contains(source, "-----BEGIN "))
		return read_key(material, provider, source);
	return mem_dup("is neither a .p12 file, nor PEM with a certificate and its key, nor a "
	               ".p8 key");
}

struct material *material_read(const struct conf_provider *provider,
                               const struct material_source *source, char **why)
{
	struct material *material = mem_alloc(1, sizeof(*material));

	material->users = 1;
	*why = read_any(material, provider, source);
	if (*why == NULL)
		return material;
	material_release(material);
	return NULL;
}

struct material *material_hold(struct material *material)
{
	if (material != NULL)
		material->users++;
	return material;
}

void material_release(struct material *material)
{
	if (material == NULL || --material->users > 0)
		return;
	jwt_key_free(material->key);
	free(material->key_id);
	free(material->team_id);
	certificate_release(&material->certificate);
	service_account_release(&material->account);
	free(material);
}

bool material_is_valid(const struct material *material, int64_t now_ms)
{
	const struct certificate *certificate = &material->certificate;

	return material->form != MATERIAL_CERTIFICATE ||
	       (certificate->starts_ms <= now_ms && certificate->expires_ms > now_ms);
}

char *material_judge_dates(const struct material *material, int64_t now_ms)
{
	const struct certificate *certificate = &material->certificate;
	bool over = certificate->expires_ms <= now_ms;
	char *date, *why;

	if (material_is_valid(material, now_ms))
		return NULL;
	date = material_date(over ? certificate->expires_ms : certificate->starts_ms);
	why = mem_printf(over ? "expired on %s" : "isn't valid before %s", date);
	free(date);
	return why;
}

int64_t material_expires_ms(const struct material *material)
{
	return material->form == MATERIAL_CERTIFICATE ? material->certificate.expires_ms : 0;
}

/* ---- kept and restored ---- */

/* Wipes what jansson has copied, then frees it. */
static void drop_secret(json_t *object)
{
	const char *text = json_string_value(json_object_get(object, "text"));

	if (text != NULL)
		mem_wipe((char *)text, strlen(text));
	json_decref(object);
}

/*
 * Certificates and keys are kept as PEM that we have made, whatever they came as: no password, no
 * old cipher and no text around it is needed. A service account is JSON, so it can be kept as it
 * is.
 */
char *material_write(const struct material *material, const struct material_source *source)
{
	const struct certificate *certificate = &material->certificate;
	char *pem = NULL, *text;
	json_t *object;

	if (material->form == MATERIAL_CERTIFICATE)
		pem = mem_printf("%s%s", certificate->chain, certificate->key);
	else if (material->form == MATERIAL_KEY)
		pem = jwt_key_print(material->key);
	object = json_pack("{s:s, s:s?, s:s?}", "text", pem != NULL ? pem : source->bytes, "key_id",
	                   material->key_id, "team_id", material->team_id);
	mem_free_secret(pem);
	assert(object != NULL);
	text = json_dumps(object, JSON_COMPACT);
	drop_secret(object);
	return text;
}

struct material *material_restore(const struct conf_provider *provider, const char *text,
                                  char **why)
{
	json_t *object = json_loads(text, 0, NULL);
	struct material_source source = {
		.bytes = json_string_value(json_object_get(object, "text")),
		.key_id = json_string_value(json_object_get(object, "key_id")),
		.team_id = json_string_value(json_object_get(object, "team_id")),
	};
	struct material *material = NULL;

	if (source.bytes == NULL) {
		*why = mem_dup("is of a form that this version doesn't know");
	} else {
		source.len = strlen(source.bytes);
		material = material_read(provider, &source, why);
	}
	drop_secret(object);
	return material;
}
