#include "pushd/credential/credential.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "pushd/credential/access_token.h"
#include "pushd/credential/credential_file.h"
#include "pushd/credential/material.h"
#include "pushd/credential/vault.h"

#define POLL_MS 2000 /* between two looks whether another pushd has stored one */

struct credential {
	struct list_link link; /* in credentials */
	const struct conf_provider *provider;
	struct list watches;
	struct material *filed;  /* from the files; NULL: none are configured */
	struct material *stored; /* from Redis; NULL: none */
	struct material *used;   /* one of the two, or NULL; borrowed */
	unsigned version;        /* of what is used; 0: nothing */
	struct access_token *token;
	struct access_token_watch token_watch;
	struct vault_call call;
	struct timer poll;
	bool settled; /* Redis has answered once */
};

static struct list credentials;

/* What was set goes before the files, unless only they are any good by now. */
static struct material *choose(const struct credential *credential)
{
	struct material *filed = credential->filed, *stored = credential->stored;
	int64_t now_ms = loop_wall_ms();

	if (stored == NULL || filed == NULL)
		return stored != NULL ? stored : filed;
	return material_is_valid(stored, now_ms) || !material_is_valid(filed, now_ms) ? stored
	                                                                              : filed;
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
	struct material *material = credential->used;

	access_token_close(credential->token, &credential->token_watch);
	credential->token = NULL;
	if (material != NULL && material->form != MATERIAL_CERTIFICATE)
		credential->token =
		        access_token_open(material, credential->provider, &credential->token_watch);
}

/* Uses MATERIAL from here on, which isn't what was used. */
static void use(struct credential *credential, struct material *material)
{
	static unsigned versions;
	bool same = same_material(material, credential->used);

	credential->used = material;
	if (!same)
		reopen_token(credential);
	credential->version = material != NULL ? ++versions : 0;
}

static void log_replacement(const struct credential *credential)
{
	const struct material *now = credential->used;
	const char *form = now != NULL ? material_forms[now->form] : "none";
	const char *from = now == NULL ? "nowhere" : "file";

	if (credential_is_stored(credential))
		from = "redis";
	log_info("credential-replaced provider=%s form=%s from=%s", credential->provider->id, form,
	         from);
}

/* Uses the better of the two, which time may have made another one. */
static void use_best(struct credential *credential)
{
	struct material *best = choose(credential);

	if (best == credential->used)
		return;
	use(credential, best);
	log_replacement(credential);
	tell(credential);
}

/* Puts MATERIAL (owned now) into PLACE, and in use if that makes a difference. */
static void put(struct credential *credential, struct material **place, struct material *material)
{
	struct material *old = *place;

	if (same_material(old, material)) {
		material_release(material);
		return;
	}
	*place = material;
	use_best(credential);
	material_release(old);
}

static void log_trouble(const struct credential *credential, const char *from, const char *why)
{
	log_error("credential-refused provider=%s from=%s reason=\"%s\"", credential->provider->id,
	          from, why);
}

/* ---- what is stored in Redis ---- */

char *credential_name(const struct conf_provider *provider)
{
	return mem_printf("push:credential:%s", provider->id);
}

static void take_stored(struct credential *credential, const char *text)
{
	char *why;
	struct material *material = material_restore(credential->provider, text, &why);

	if (material != NULL)
		why = material_judge_dates(material, loop_wall_ms());
	if (why != NULL)
		log_error("credential-refused provider=%s from=redis reason=\"it %s\"",
		          credential->provider->id, why);
	free(why);
	if (material != NULL)
		put(credential, &credential->stored, material);
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
		log_trouble(credential, "redis", "it was sealed with another master key");
		break;
	case VAULT_SAME:
	case VAULT_REFUSED:
	case VAULT_AWAY:
		break;
	}
	use_best(credential);
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

/* FILED, with what is wrong with it or why there is none. One that isn't valid is kept, too. */
static void take_files(struct credential *credential, struct material *filed, char *why)
{
	if (why != NULL)
		log_trouble(credential, "file", why);
	free(why);
	credential->filed = filed;
	if (filed != NULL)
		use(credential, filed);
}

struct credential *credential_open(const struct conf_provider *provider,
                                   struct credential_watch *watch, char **why)
{
	struct material *filed = credential_file_read(provider, why);
	struct credential *credential;

	if (filed == NULL && *why != NULL && !vault_usable())
		return NULL;
	if (credentials.head.next == NULL)
		list_init(&credentials);
	credential = mem_alloc(1, sizeof(*credential));
	credential->provider = provider;
	credential->token_watch.changed = on_token;
	credential->call.done = on_stored;
	credential->poll.expired = on_poll;
	list_init(&credential->watches);
	list_append(&credential->watches, &watch->link);
	list_append(&credentials, &credential->link);
	take_files(credential, filed, *why);
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
	struct material *filed = credential_file_read(credential->provider, &why);

	if (why != NULL) {
		log_trouble(credential, "file", why);
		material_release(filed);
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
	return credential->used;
}

bool credential_is_stored(const struct credential *credential)
{
	return credential->used != NULL && credential->used == credential->stored;
}

const struct conf_provider *credential_provider(const struct credential *credential)
{
	return credential->provider;
}

/* The certificate in use, or NULL. */
static const struct certificate *certificate_of(const struct credential *credential)
{
	const struct material *material = credential->used;

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
	if (credential->used != NULL && material_is_valid(credential->used, loop_wall_ms()))
		return CREDENTIAL_READY;
	if (!credential->settled)
		return CREDENTIAL_WAITING;
	return credential->used != NULL ? CREDENTIAL_INVALID : CREDENTIAL_ABSENT;
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
	const struct material *material = credential->used;

	return material != NULL ? material->account.project_id : NULL;
}
