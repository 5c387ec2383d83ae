#include "pushd/credential.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "pushd/access_token.h"
#include "pushd/material.h"
#include "pushd/provider.h"
#include "pushd/vault.h"

#define FILE_MAX (64 * 1024)
#define POLL_MS 2000 /* between two looks whether another pushd has stored one */

struct credential {
	struct list_link link; /* in credentials */
	const struct conf_provider *provider;
	struct list watches;
	struct material *filed;  /* from the files; NULL: none are configured */
	struct material *stored; /* from Redis, which goes before the files; NULL: none */
	unsigned version;        /* 0: neither */
	struct access_token *token;
	struct access_token_watch token_watch;
	struct vault_call call;
	struct timer poll;
	bool settled; /* Redis has answered once */
};

static struct list credentials;

static struct material *current(const struct credential *credential)
{
	return credential->stored != NULL ? credential->stored : credential->filed;
}

/* ---- files ---- */

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
	material = material_read(provider, &source, loop_wall_ms(), why);
	mem_wipe(bytes, source.len);
	free(bytes);
	return material;
}

/* What PROVIDER's files hold; NULL with *WHY, or with *WHY NULL if it names none. */
static struct material *read_files(const struct conf_provider *provider, char **why)
{
	const char *key, *path, *fault = judge_keys(provider);
	struct material *material;
	char *trouble;

	*why = fault != NULL ? mem_dup(fault) : NULL;
	if (fault != NULL || !find_file(provider, &key, &path))
		return NULL;
	material = read_file(provider, path, &trouble);
	if (material != NULL)
		return material;
	*why = mem_printf("%s %s%s%s", key, path, *trouble == ':' ? "" : " ", trouble);
	free(trouble);
	return NULL;
}

int credential_check(const struct conf_provider *provider, bool settable, char **why)
{
	struct material *material = read_files(provider, why);
	bool oauth = provider_kinds[provider->kind]->scheme == SCHEME_OAUTH;

	if (material == NULL && *why == NULL && !settable)
		*why = mem_dup(oauth ? "service-account-file is needed, or a master-key-file, "
		                       "so that one can be set"
		                     : "cert-file is needed, or key-file, key-id and team-id are "
		                       "needed, or a master-key-file, so that one can be set");
	material_release(material);
	return *why == NULL ? 0 : -1;
}

/* ---- the one in use ---- */

static void tell(struct credential *credential)
{
	list_for_each (link, &credential->watches) {
		struct credential_watch *watch = container_of(link, struct credential_watch, link);

		watch->changed(watch);
	}
}

static void on_token(struct access_token_watch *watch)
{
	tell(container_of(watch, struct credential, token_watch));
}

static bool same_material(const struct material *a, const struct material *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a->fingerprint, b->fingerprint) == 0);
}

static void reopen_token(struct credential *credential)
{
	struct material *material = current(credential);

	access_token_close(credential->token, &credential->token_watch);
	credential->token = NULL;
	if (material != NULL && material->form != MATERIAL_CERTIFICATE)
		credential->token =
		        access_token_open(material, credential->provider, &credential->token_watch);
}

/* What is current may be another one than BEFORE: uses it. */
static void switch_over(struct credential *credential, const struct material *before)
{
	static unsigned versions;
	const struct material *now = current(credential);

	if (now == before)
		return;
	if (!same_material(now, before))
		reopen_token(credential);
	credential->version = now != NULL ? ++versions : 0;
}

static void log_replacement(const struct credential *credential)
{
	const struct material *now = current(credential);
	const char *form = now != NULL ? material_forms[now->form] : "none";
	const char *from = now == NULL ? "nowhere" : "file";

	if (now != NULL && now == credential->stored)
		from = "redis";
	log_info("credential-replaced provider=%s form=%s from=%s", credential->provider->id, form,
	         from);
}

/* Puts MATERIAL (owned now) into PLACE, and in use if that makes a difference. */
static void put(struct credential *credential, struct material **place, struct material *material)
{
	struct material *before = current(credential), *old = *place;

	if (same_material(old, material)) {
		material_release(material);
		return;
	}
	*place = material;
	if (current(credential) != before) {
		log_replacement(credential);
		switch_over(credential, before);
		tell(credential);
	}
	material_release(old);
}

/* ---- what is stored in Redis ---- */

char *credential_name(const struct conf_provider *provider)
{
	return mem_printf("push:credential:%s", provider->id);
}

static void take_stored(struct credential *credential, const char *text)
{
	char *why;
	struct material *material =
	        material_restore(credential->provider, text, loop_wall_ms(), &why);

	if (material != NULL) {
		put(credential, &credential->stored, material);
		return;
	}
	log_error("credential-refused provider=%s from=redis reason=\"it %s\"",
	          credential->provider->id, why);
	free(why);
}

static void on_stored(struct vault_call *call, enum vault_result result, const char *text)
{
	struct credential *credential = container_of(call, struct credential, call);

	credential->settled |= result != VAULT_AWAY;
	timer_start(&credential->poll, POLL_MS);
	switch (result) {
	case VAULT_DONE:
		take_stored(credential, text);
		break;
	case VAULT_NONE:
		put(credential, &credential->stored, NULL);
		break;
	case VAULT_UNREADABLE:
		log_error("credential-refused provider=%s from=redis reason=\"it was sealed with "
		          "another master key\"",
		          credential->provider->id);
		break;
	case VAULT_SAME:
	case VAULT_AWAY:
		break;
	}
}

static void look(struct credential *credential)
{
	char *name = credential_name(credential->provider);

	vault_get(&credential->call, name);
	free(name);
}

static void on_poll(struct timer *timer)
{
	look(container_of(timer, struct credential, poll));
}

void credential_set(struct credential *credential, struct material *material)
{
	put(credential, &credential->stored, material_hold(material));
}

/* ---- opened and closed ---- */

struct credential *credential_open(const struct conf_provider *provider,
                                   struct credential_watch *watch, char **why)
{
	struct material *filed = read_files(provider, why);
	struct credential *credential;

	if (filed == NULL && *why != NULL)
		return NULL;
	if (credentials.head.next == NULL)
		list_init(&credentials);
	credential = mem_alloc(1, sizeof(*credential));
	credential->provider = provider;
	credential->filed = filed;
	credential->token_watch.changed = on_token;
	credential->call.done = on_stored;
	credential->poll.expired = on_poll;
	list_init(&credential->watches);
	list_append(&credential->watches, &watch->link);
	list_append(&credentials, &credential->link);
	switch_over(credential, NULL);
	if (vault_usable())
		look(credential);
	else
		credential->settled = true;
	return credential;
}

void credential_close(struct credential *credential, struct credential_watch *watch)
{
	list_remove(&watch->link);
	list_remove(&credential->link);
	timer_stop(&credential->poll);
	vault_forget(&credential->call);
	access_token_close(credential->token, &credential->token_watch);
	material_release(credential->filed);
	material_release(credential->stored);
	free(credential);
}

struct credential *credential_next(struct credential *credential)
{
	struct list_link *next;

	if (credentials.head.next == NULL)
		return NULL;
	next = credential != NULL ? credential->link.next : credentials.head.next;
	return next != &credentials.head ? container_of(next, struct credential, link) : NULL;
}

struct credential *credential_find(const char *id)
{
	struct credential *credential = NULL;

	while ((credential = credential_next(credential)) != NULL)
		if (strcmp(credential->provider->id, id) == 0)
			break;
	return credential;
}

static void reload(struct credential *credential)
{
	char *why;
	struct material *filed = read_files(credential->provider, &why);

	if (why != NULL) {
		log_error("credential-refused provider=%s from=file reason=\"%s\"",
		          credential->provider->id, why);
		free(why);
		return;
	}
	if (filed != NULL && credential->stored != NULL && !same_material(filed, credential->filed))
		log_warn("credential-unused provider=%s from=file reason=\"the one that was set "
		         "goes before it\"",
		         credential->provider->id);
	put(credential, &credential->filed, filed);
}

void credentials_reload(void)
{
	struct credential *credential = NULL;

	while ((credential = credential_next(credential)) != NULL)
		reload(credential);
}

bool credentials_settled(void)
{
	struct credential *credential = NULL;

	while ((credential = credential_next(credential)) != NULL)
		if (!credential->settled)
			return false;
	return true;
}

/* ---- what it is ---- */

const struct material *credential_material(const struct credential *credential)
{
	return current(credential);
}

const struct conf_provider *credential_provider(const struct credential *credential)
{
	return credential->provider;
}

/* The certificate in use, or NULL. */
static const struct certificate *certificate_of(const struct credential *credential)
{
	const struct material *material = current(credential);

	return material != NULL && material->form == MATERIAL_CERTIFICATE ? &material->certificate
	                                                                  : NULL;
}

enum credential_state credential_state(struct credential *credential)
{
	static const enum credential_state states[] = {
		[ACCESS_TOKEN_READY] = CREDENTIAL_READY,
		[ACCESS_TOKEN_WAITING] = CREDENTIAL_WAITING,
		[ACCESS_TOKEN_FAILED] = CREDENTIAL_FAILED,
		[ACCESS_TOKEN_UNREACHABLE] = CREDENTIAL_UNREACHABLE,
	};

	if (credential->token != NULL)
		return states[access_token_state(credential->token)];
	if (current(credential) != NULL)
		return CREDENTIAL_READY;
	return credential->settled ? CREDENTIAL_ABSENT : CREDENTIAL_WAITING;
}

const char *credential_bearer(struct credential *credential, unsigned *generation)
{
	if (credential->token == NULL)
		return NULL;
	return access_token_text(credential->token, generation);
}

void credential_renew(struct credential *credential, unsigned generation)
{
	if (credential->token != NULL)
		access_token_renew(credential->token, generation);
}

unsigned credential_version(const struct credential *credential)
{
	return credential->version;
}

const char *credential_certificate(const struct credential *credential)
{
	const struct certificate *certificate = certificate_of(credential);

	return certificate != NULL ? certificate->chain : NULL;
}

const char *credential_key(const struct credential *credential)
{
	const struct certificate *certificate = certificate_of(credential);

	return certificate != NULL ? certificate->key : NULL;
}

const char *credential_topic(const struct credential *credential)
{
	const struct certificate *certificate = certificate_of(credential);

	return certificate != NULL ? certificate->topic : NULL;
}

const char *credential_project(const struct credential *credential)
{
	const struct material *material = current(credential);

	return material != NULL ? material->account.project_id : NULL;
}
