#include "pushd/credential/credential.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "pushd/credential/access_token.h"
#include "pushd/credential/material.h"
#include "pushd/credential/sealed_store.h"

#define FILE_MAX (64 * 1024)
#define POLL_MS 2000 /* between two reads of the credential in Redis, which any pushd may replace */

/* A bearer token of the credential, for one origin or for all. */
struct token {
	struct list_link link; /* in the credential's */
	struct credential *credential;
	char *origin; /* NULL: for all */
	struct access_token *token;
	struct access_token_watch watch;
};

struct credential {
	struct list_link link; /* in credentials */
	const struct conf_provider *provider;
	credential_describer *describe;
	struct credential_watch *watch;
	struct material *filed;  /* from the files; NULL: none are configured */
	struct material *stored; /* from Redis; NULL: none */
	struct material *used;   /* one of the two, or NULL; borrowed */
	unsigned version;        /* of what is used; 0: nothing */
	struct list tokens;
	struct sealed_store_call call;
	struct timer poll;
	bool settled;     /* Redis has answered once, or isn't asked */
	bool for_calls;   /* alone; it comes from a file, never from Redis */
	char *file_fault; /* what is wrong with the file that was read last; NULL: nothing */
};

static struct list credentials;

/* The stored one wins over the file, unless only the file's is valid now. */
static struct material *choose(const struct credential *credential)
{
	struct material *filed = credential->filed, *stored = credential->stored;
	int64_t now_ms = loop_wall_ms();

	if (stored == NULL || filed == NULL)
		return stored != NULL ? stored : filed;
	return material_is_valid(stored, now_ms) || !material_is_valid(filed, now_ms) ? stored
	                                                                              : filed;
}

void credential_wants(const struct credential *credential, struct credential_wanted *wanted)
{
	*wanted = (struct credential_wanted){ 0 };
	credential->describe(credential->provider, wanted);
}

/* ---- its file ---- */

static struct material *read_file(const struct credential_wanted *wanted, char **why)
{
	struct material_source source = { .password = wanted->password };
	struct material *material;
	char *bytes = file_read(wanted->file, FILE_MAX, &source.len);

	if (bytes == NULL) {
		*why = mem_printf(": %s", strerror(errno));
		return NULL;
	}
	source.bytes = bytes;
	material = material_read(wanted, &source, why);
	mem_wipe(bytes, source.len);
	free(bytes);
	return material;
}

/*
 * The material in the file; NULL if no file is configured, or it is at fault. *WHY (heap): what is
 * wrong with the file; beside a material: that its dates aren't valid now; NULL: no fault.
 */
static struct material *try_file(const struct credential_wanted *wanted, char **why)
{
	struct material *material;
	char *trouble;

	*why = NULL;
	if (wanted->file == NULL)
		return NULL;
	material = read_file(wanted, &trouble);
	if (material != NULL)
		trouble = material_judge_dates(material, loop_wall_ms());
	if (trouble != NULL)
		*why = mem_printf("%s %s%s%s", wanted->file_key, wanted->file,
		                  *trouble == ':' ? "" : " ", trouble);
	free(trouble);
	return material;
}

int credential_check(const struct credential_wanted *wanted, bool settable, char **why)
{
	struct material *material;

	*why = NULL;
	if (settable)
		return 0;
	material = try_file(wanted, why);
	if (material == NULL) {
		if (*why == NULL)
			*why = mem_printf("%s, or a master-key-file, so that one can be set",
			                  wanted->needed);
		return -1;
	}
	material_release(material);
	free(*why);
	*why = NULL;
	return 0;
}

int credential_check_file(const struct credential_wanted *wanted, char **why)
{
	material_release(try_file(wanted, why));
	return *why == NULL ? 0 : -1;
}

static struct material *read_own_file(const struct credential *credential, char **why)
{
	struct credential_wanted wanted;

	credential_wants(credential, &wanted);
	return try_file(&wanted, why);
}

/* ---- its bearer tokens ---- */

static void notify(struct credential *credential)
{
	credential->watch->changed(credential->watch);
}

static void on_token(struct access_token_watch *watch)
{
	notify(container_of(watch, struct token, watch)->credential);
}

static struct token *open_token(struct credential *credential, const char *origin)
{
	struct token *token = mem_alloc(1, sizeof(*token));

	token->credential = credential;
	token->origin = mem_dup(origin);
	token->watch.changed = on_token;
	list_append(&credential->tokens, &token->link);
	token->token =
	        access_token_open(credential->used, origin, credential->provider, &token->watch);
	return token;
}

static void close_token(struct token *token)
{
	list_remove(&token->link);
	access_token_close(token->token, &token->watch);
	free(token->origin);
	free(token);
}

static void close_tokens(struct credential *credential)
{
	struct list_link *link;

	while ((link = list_first(&credential->tokens)) != NULL)
		close_token(container_of(link, struct token, link));
}

/* The one for ORIGIN that is open, or NULL. */
static struct token *find_token(const struct credential *credential, const char *origin)
{
	list_for_each (link, &credential->tokens) {
		struct token *token = container_of(link, struct token, link);

		if (token->origin == NULL || (origin != NULL && strcmp(token->origin, origin) == 0))
			return token;
	}
	return NULL;
}

/* The one for ORIGIN, opened if need be; NULL: the credential has none for it. */
static struct access_token *token_for(struct credential *credential, const char *origin)
{
	struct token *token = find_token(credential, origin);

	if (token == NULL && origin != NULL && credential->used != NULL &&
	    credential->used->form->per_origin)
		token = open_token(credential, origin);
	return token != NULL ? token->token : NULL;
}

void credential_forget(struct credential *credential, const char *origin)
{
	struct token *token = find_token(credential, origin);

	if (token != NULL && token->origin != NULL)
		close_token(token);
}

/* ---- the one in use ---- */

static bool same_material(const struct material *a, const struct material *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a->fingerprint, b->fingerprint) == 0);
}

static void reopen_tokens(struct credential *credential)
{
	const struct material *material = credential->used;

	close_tokens(credential);
	if (material != NULL && material_has_bearer(material) && !material->form->per_origin)
		open_token(credential, NULL);
}

static void warn_of_lack(const struct credential *credential)
{
	struct credential_wanted wanted;
	char *lack;

	if (credential->used == NULL)
		return;
	credential_wants(credential, &wanted);
	lack = material_lack(credential->used, &wanted);
	if (lack != NULL)
		log_warn("credential-incomplete provider=%s reason=\"it %s\"",
		         credential->provider->id, lack);
	free(lack);
}

/* Uses MATERIAL, which differs from the one in use, from here on. */
static void use_material(struct credential *credential, struct material *material)
{
	static unsigned versions;
	bool same = same_material(material, credential->used);

	credential->used = material;
	if (!same)
		reopen_tokens(credential);
	credential->version = material != NULL ? ++versions : 0;
	warn_of_lack(credential);
}

static void log_replacement(const struct credential *credential)
{
	const struct material *now = credential->used;
	const char *form = now != NULL ? now->form->name : "none";
	const char *from = now == NULL ? "nowhere" : "file";

	if (credential_is_stored(credential))
		from = "redis";
	if (now != NULL && credential->for_calls)
		from = "voip-cert-file";
	log_info("credential-replaced provider=%s form=%s from=%s", credential->provider->id, form,
	         from);
}

/* Chooses between file and Redis again: a date may have passed since the last choice. */
static void use_best(struct credential *credential)
{
	struct material *best = choose(credential);

	if (best == credential->used)
		return;
	use_material(credential, best);
	log_replacement(credential);
	notify(credential);
}

/* Puts MATERIAL (owned now) into PLACE, and uses it if it is the better one. */
static void replace(struct credential *credential, struct material **place,
                    struct material *material)
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

/* Takes WHY (NULL: nothing is wrong), which the API tells, too. */
static void take_file_fault(struct credential *credential, char *why)
{
	if (why != NULL)
		log_error("credential-refused provider=%s from=file reason=\"%s\"",
		          credential->provider->id, why);
	free(credential->file_fault);
	credential->file_fault = why;
}

/* ---- what is stored in Redis ---- */

char *credential_name(const struct conf_provider *provider)
{
	return mem_printf("push:credential:%s", provider->id);
}

static void take_stored(struct credential *credential, const char *text)
{
	char *why;
	struct credential_wanted wanted;
	struct material *material;

	credential_wants(credential, &wanted);
	material = material_restore(&wanted, text, &why);
	if (material != NULL)
		why = material_judge_dates(material, loop_wall_ms());
	if (why != NULL)
		log_error("credential-refused provider=%s from=redis reason=\"it %s\"",
		          credential->provider->id, why);
	free(why);
	if (material != NULL)
		replace(credential, &credential->stored, material);
}

static void on_sealed_store_got(struct sealed_store_call *call, enum sealed_store_result result,
                                const char *text)
{
	struct credential *credential = container_of(call, struct credential, call);

	credential->settled |= result != SEALED_UNAVAILABLE;
	timer_start(&credential->poll, POLL_MS);
	switch (result) {
	case SEALED_DONE:
		take_stored(credential, text);
		break;
	case SEALED_NONE:
		replace(credential, &credential->stored, NULL);
		break;
	case SEALED_UNREADABLE:
		log_error("credential-refused provider=%s from=redis "
		          "reason=\"it was sealed with another master key\"",
		          credential->provider->id);
		break;
	case SEALED_SAME:
	case SEALED_REFUSED:
	case SEALED_UNAVAILABLE:
		break;
	}
	use_best(credential);
}

static void fetch_stored(struct credential *credential)
{
	char *name = credential_name(credential->provider);

	sealed_store_get(&credential->call, name);
	free(name);
}

static void on_poll(struct timer *timer)
{
	fetch_stored(container_of(timer, struct credential, poll));
}

void credential_set(struct credential *credential, struct material *material)
{
	replace(credential, &credential->stored, material_hold(material));
}

/* ---- opened and closed ---- */

/* Takes FILED and WHY. A certificate whose dates aren't valid is kept, too. */
static void take_file(struct credential *credential, struct material *filed, char *why)
{
	take_file_fault(credential, why);
	credential->filed = filed;
	if (filed != NULL)
		use_material(credential, filed);
}

struct credential *credential_open(const struct conf_provider *provider,
                                   credential_describer *describe, struct credential_watch *watch,
                                   char **why)
{
	struct credential *credential = mem_alloc(1, sizeof(*credential));
	struct credential_wanted wanted;
	struct material *filed;
	bool settable;

	credential->provider = provider;
	credential->describe = describe;
	credential_wants(credential, &wanted);
	credential->for_calls = wanted.for_calls;
	settable = sealed_store_usable() && !wanted.for_calls;
	filed = try_file(&wanted, why);
	if (filed == NULL && *why != NULL && !settable) {
		free(credential);
		return NULL;
	}
	if (credentials.head.next == NULL)
		list_init(&credentials);
	credential->watch = watch;
	credential->call.done = on_sealed_store_got;
	credential->poll.expired = on_poll;
	list_init(&credential->tokens);
	list_append(&credentials, &credential->link);
	take_file(credential, filed, *why);
	if (settable)
		fetch_stored(credential);
	else
		credential->settled = true;
	return credential;
}

void credential_close(struct credential *credential)
{
	list_remove(&credential->link);
	timer_stop(&credential->poll);
	sealed_store_forget(&credential->call);
	close_tokens(credential);
	material_release(credential->filed);
	material_release(credential->stored);
	free(credential->file_fault);
	free(credential);
}

const char *credential_file_fault(const struct credential *credential)
{
	return credential->file_fault;
}

struct credential *credential_next(struct credential *credential)
{
	struct list_link *next;

	if (credentials.head.next == NULL)
		return NULL;
	next = credential != NULL ? credential->link.next : credentials.head.next;
	return next != &credentials.head ? container_of(next, struct credential, link) : NULL;
}

static struct credential *find(const char *id, bool for_calls)
{
	struct credential *credential = NULL;

	while ((credential = credential_next(credential)) != NULL)
		if (credential->for_calls == for_calls && strcmp(credential->provider->id, id) == 0)
			break;
	return credential;
}

struct credential *credential_find(const char *id)
{
	return find(id, false);
}

struct credential *credential_find_for_calls(const char *id)
{
	return find(id, true);
}

static void reread_file(struct credential *credential)
{
	char *why;
	struct material *filed = read_own_file(credential, &why);

	take_file_fault(credential, why);
	if (why != NULL) {
		material_release(filed);
		return;
	}
	if (filed != NULL && credential->stored != NULL && !same_material(filed, credential->filed))
		log_warn("credential-unused provider=%s from=file reason=\"the one that was set "
		         "goes before it\"",
		         credential->provider->id);
	replace(credential, &credential->filed, filed);
}

void credentials_reload(void)
{
	struct credential *credential = NULL;

	while ((credential = credential_next(credential)) != NULL)
		reread_file(credential);
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

const char *credential_place(const struct credential *credential)
{
	struct credential_wanted wanted;

	if (credential_is_stored(credential))
		return "redis";
	credential_wants(credential, &wanted);
	return wanted.file_key;
}

bool credential_is_for_calls(const struct credential *credential)
{
	return credential->for_calls;
}

const struct conf_provider *credential_provider(const struct credential *credential)
{
	return credential->provider;
}

static bool has_valid_dates(const struct credential *credential)
{
	return credential->used != NULL && material_is_valid(credential->used, loop_wall_ms());
}

enum credential_state credential_state(struct credential *credential, const char *origin)
{
	static const enum credential_state states[] = {
		[ACCESS_TOKEN_READY] = CREDENTIAL_READY,
		[ACCESS_TOKEN_WAITING] = CREDENTIAL_WAITING,
		[ACCESS_TOKEN_FAILED] = CREDENTIAL_FAILED,
		[ACCESS_TOKEN_UNREACHABLE] = CREDENTIAL_UNREACHABLE,
	};
	struct access_token *token = token_for(credential, origin);

	if (token != NULL)
		return states[access_token_state(token)];
	if (has_valid_dates(credential))
		return CREDENTIAL_READY;
	if (!credential->settled)
		return CREDENTIAL_WAITING;
	return credential->used != NULL ? CREDENTIAL_INVALID : CREDENTIAL_ABSENT;
}

const char *credential_bearer(struct credential *credential, const char *origin,
                              unsigned *generation)
{
	struct access_token *token = token_for(credential, origin);

	return token != NULL ? access_token_text(token, generation) : NULL;
}

void credential_renew(struct credential *credential, const char *origin, unsigned generation)
{
	struct access_token *token = token_for(credential, origin);

	if (token != NULL)
		access_token_renew(token, generation);
}

unsigned credential_version(const struct credential *credential)
{
	return credential->version;
}
