#include "pushd/credential/material.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/base/panic.h"
#include "common/text/hex.h"

char *material_date(int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char text[32];
	struct tm date;

	if (gmtime_r(&s, &date) == NULL || strftime(text, sizeof(text), "%Y-%m-%d", &date) == 0)
		return mem_dup("an unknown date");
	return mem_dup(text);
}

void material_print_fingerprint(struct material *material, const char *const *texts)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;

	if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
		panic("EVP_DigestInit_ex");
	for (; *texts != NULL; texts++)
		EVP_DigestUpdate(context, *texts, strlen(*texts) + 1);
	EVP_DigestFinal_ex(context, digest, &len);
	EVP_MD_CTX_free(context);
	hex_write(material->fingerprint, digest, len);
}

/* ---- read ---- */

static const struct credential_form *find_form(const struct credential_wanted *wanted,
                                               const struct material_source *source)
{
	for (size_t i = 0; wanted->forms[i] != NULL; i++)
		if (wanted->forms[i]->recognise(source))
			return wanted->forms[i];
	return NULL;
}

static char *read_source(struct material *material, const struct credential_wanted *wanted,
                         const struct material_source *source)
{
	char *why;

	material->form = find_form(wanted, source);
	if (material->form == NULL)
		return mem_dup(wanted->no_form);
	why = material->form->parse(material, source, wanted);
	return why != NULL ? why : material->form->check(material, wanted);
}

struct material *material_read(const struct credential_wanted *wanted,
                               const struct material_source *source, char **why)
{
	struct material *material = mem_alloc(1, sizeof(*material));

	material->users = 1;
	*why = read_source(material, wanted, source);
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
	if (material->secret != NULL)
		material->form->release(material);
	free(material);
}

/* ---- what it says ---- */

bool material_is_valid(const struct material *material, int64_t now_ms)
{
	return material->starts_ms <= now_ms &&
	       (material->expires_ms == 0 || material->expires_ms > now_ms);
}

char *material_judge_dates(const struct material *material, int64_t now_ms)
{
	bool over = material->expires_ms <= now_ms;
	char *date, *why;

	if (material_is_valid(material, now_ms))
		return NULL;
	date = material_date(over ? material->expires_ms : material->starts_ms);
	why = mem_printf(over ? "expired on %s" : "isn't valid before %s", date);
	free(date);
	return why;
}

bool material_has_bearer(const struct material *material)
{
	return material->form->sign != NULL || material->form->account != NULL;
}

char *material_lack(const struct material *material, const struct credential_wanted *wanted)
{
	return material->form->lack != NULL ? material->form->lack(material, wanted) : NULL;
}

/* ---- kept and restored ---- */

/* Wipes the secret in OBJECT, which is jansson's copy, then frees OBJECT. */
static void drop_secret(json_t *object)
{
	const char *text = json_string_value(json_object_get(object, "text"));

	if (text != NULL)
		mem_wipe((char *)text, strlen(text));
	json_decref(object);
}

char *material_write(const struct material *material, const struct material_source *source)
{
	json_t *object = material->form->keep != NULL ? material->form->keep(material)
	                                              : json_pack("{s:s}", "text", source->bytes);
	char *text;

	assert(object != NULL);
	text = json_dumps(object, JSON_COMPACT);
	drop_secret(object);
	return text;
}

struct material *material_restore(const struct credential_wanted *wanted, const char *text,
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
		material = material_read(wanted, &source, why);
	}
	drop_secret(object);
	return material;
}
