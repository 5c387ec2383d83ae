#include "pushd/credential/service_account.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define SCOPE "https://www.googleapis.com/auth/firebase.messaging"
#define GRANT_LIFE_S 3600 /* the most that Google takes */

/* The project is written into a URL without escaping. */
static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._:";

static const char *read_text(const json_t *file, const char *key)
{
	const char *text = json_string_value(json_object_get(file, key));

	return text != NULL && *text != '\0' ? text : NULL;
}

static const char *judge_file(const json_t *file)
{
	const char *type = read_text(file, "type");
	const char *uri = read_text(file, "token_uri");
	const char *project = read_text(file, "project_id");

	if (!json_is_object(file))
		return "is no JSON object";
	if (type == NULL || strcmp(type, "service_account") != 0)
		return "has no \"type\": \"service_account\"";
	if (read_text(file, "client_email") == NULL)
		return "has no client_email";
	if (read_text(file, "private_key_id") == NULL)
		return "has no private_key_id";
	if (read_text(file, "private_key") == NULL)
		return "has no private_key";
	if (uri == NULL || strncmp(uri, "https://", 8) != 0)
		return "has no token_uri with https";
	if (project != NULL && project[strspn(project, plain)] != '\0')
		return "has a project_id of other characters than letters, digits and -._:";
	return NULL;
}

int service_account_read(struct service_account *account, const char *text, size_t len,
                         const char **why)
{
	json_t *file = json_loadb(text, len, 0, NULL);
	const char *pem = read_text(file, "private_key");

	*account = (struct service_account){ 0 };
	*why = judge_file(file);
	if (*why == NULL) {
		account->key = jwt_key_read(pem, strlen(pem), JWT_RS256, why);
		if (account->key == NULL)
			*why = "has a private_key that is no RSA key of 2048 to 8192 bits, or is "
			       "damaged";
	}
	if (*why == NULL) {
		account->client_email = mem_dup(read_text(file, "client_email"));
		account->private_key_id = mem_dup(read_text(file, "private_key_id"));
		account->token_uri = mem_dup(read_text(file, "token_uri"));
		account->project_id = mem_dup(read_text(file, "project_id"));
	}
	if (pem != NULL) /* jansson's own copy */
		mem_wipe((char *)pem, strlen(pem));
	json_decref(file);
	return *why == NULL ? 0 : -1;
}

void service_account_release(struct service_account *account)
{
	free(account->client_email);
	free(account->private_key_id);
	free(account->token_uri);
	free(account->project_id);
	jwt_key_free(account->key);
	*account = (struct service_account){ 0 };
}

char *service_account_grant(const struct service_account *account, int64_t now_s)
{
	json_t *claims = json_pack("{s:s, s:s, s:s, s:I, s:I}", "iss", account->client_email,
	                           "scope", SCOPE, "aud", account->token_uri, "iat",
	                           (json_int_t)now_s, "exp", (json_int_t)(now_s + GRANT_LIFE_S));
	char *assertion = jwt_sign(account->key, account->private_key_id, claims);
	char *form =
	        mem_printf("grant_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Agrant-type%%3Ajwt-bearer"
	                   "&assertion=%s",
	                   assertion);

	json_decref(claims);
	mem_free_secret(assertion);
	return form;
}

/* ---- the form ---- */

/* A provider that accepts service accounts accepts no other form. */
static bool recognise(const struct material_source *source)
{
	return true;
}

static char *parse(struct material *material, const struct material_source *source,
                   const struct credential_wanted *wanted)
{
	struct service_account *account = mem_alloc(1, sizeof(*account));
	const char *fault;
	char *public;

	material->secret = account;
	if (service_account_read(account, source->bytes, source->len, &fault) != 0)
		return mem_dup(fault);
	material->project_id = account->project_id;
	public = jwt_key_public(account->key);
	material_print_fingerprint(material,
	                           (const char *const[]){ "service-account", account->client_email,
	                                                  account->private_key_id,
	                                                  account->token_uri, public, NULL });
	free(public);
	return NULL;
}

static char *check(const struct material *material, const struct credential_wanted *wanted)
{
	return wanted->project_id != NULL || material->project_id != NULL
	               ? NULL
	               : mem_dup("names no project: project-id is needed");
}

static void release(struct material *material)
{
	service_account_release(material->secret);
	free(material->secret);
}

static void describe(const struct material *material, json_t *answer, json_t *findings)
{
	const struct service_account *account = material->secret;

	json_array_append_new(findings, json_sprintf("Access tokens are asked for as %s.",
	                                             account->client_email));
}

static const struct service_account *account_of(const struct material *material)
{
	return material->secret;
}

const struct credential_form service_account_form = {
	.name = "service-account",
	.recognise = recognise,
	.parse = parse,
	.check = check,
	.release = release,
	.describe = describe,
	.account = account_of,
};
