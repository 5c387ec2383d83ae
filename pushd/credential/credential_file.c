#include "pushd/credential/credential_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "pushd/provider/kinds.h"

#define FILE_MAX (64 * 1024)

/* Which of PROVIDER's keys names a file, and that file; false: none does. */
static bool find_file(const struct conf_provider *provider, const char **key, const char **path)
{
	bool oauth = provider_kinds[provider->kind]->scheme == SCHEME_OAUTH;

	if (oauth) {
		*key = "service-account-file";
		*path = provider->service_account_file;
	} else if (provider->cert_file != NULL) {
		*key = "cert-file";
		*path = provider->cert_file;
	} else {
		*key = "key-file";
		*path = provider->key_file;
	}
	return *path != NULL;
}

/* What doesn't fit together before any file is read; NULL, or what is wrong. */
static const char *judge_keys(const struct conf_provider *provider)
{
	bool named = provider->key_id != NULL && provider->team_id != NULL;

	if (provider_kinds[provider->kind]->scheme == SCHEME_OAUTH)
		return provider->cert_file != NULL || provider->key_file != NULL
		               ? "FCM takes a service-account-file, no cert-file or key-file"
		               : NULL;
	if (provider->service_account_file != NULL)
		return "APNs takes a cert-file or a key-file, no service-account-file";
	if (provider->cert_file != NULL && provider->key_file != NULL)
		return "either cert-file or key-file, not both";
	if (provider->key_file != NULL && !named)
		return "key-file, key-id and team-id are needed";
	return NULL;
}

/* Reads the file at PATH; NULL with *WHY. */
static struct material *read_file(const struct conf_provider *provider, const char *path,
                                  char **why)
{
	struct material_source source = { .password = provider->cert_password };
	struct material *material;
	char *bytes = file_read(path, FILE_MAX, &source.len);

	if (bytes == NULL) {
		*why = mem_printf(": %s", strerror(errno));
		return NULL;
	}
	source.bytes = bytes;
	material = material_read(provider, &source, why);
	mem_wipe(bytes, source.len);
	free(bytes);
	return material;
}

struct material *credential_file_read(const struct conf_provider *provider, char **why)
{
	const char *key, *path;
	struct material *material;
	char *trouble;

	*why = NULL;
	if (!find_file(provider, &key, &path))
		return NULL;
	material = read_file(provider, path, &trouble);
	if (material != NULL)
		trouble = material_judge_dates(material, loop_wall_ms());
	if (trouble != NULL)
		*why = mem_printf("%s %s%s%s", key, path, *trouble == ':' ? "" : " ", trouble);
	free(trouble);
	return material;
}

static const char *name_needed(const struct conf_provider *provider)
{
	return provider_kinds[provider->kind]->scheme == SCHEME_OAUTH
	               ? "service-account-file is needed, or a master-key-file, so that one can "
	                 "be set"
	               : "cert-file is needed, or key-file, key-id and team-id are needed, or a "
	                 "master-key-file, so that one can be set";
}

int credential_file_check(const struct conf_provider *provider, bool settable, char **why)
{
	const char *fault = judge_keys(provider);
	struct material *material;

	*why = fault != NULL ? mem_dup(fault) : NULL;
	if (fault != NULL || settable)
		return fault != NULL ? -1 : 0;
	material = credential_file_read(provider, why);
	if (material == NULL) {
		if (*why == NULL)
			*why = mem_dup(name_needed(provider));
		return -1;
	}
	material_release(material);
	free(*why);
	*why = NULL;
	return 0;
}

int credential_file_check_all(const struct conf_provider *provider, char **why)
{
	material_release(credential_file_read(provider, why));
	return *why == NULL ? 0 : -1;
}
