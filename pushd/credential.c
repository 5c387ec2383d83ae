#include "pushd/credential.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/loop.h"
#include "common/mem.h"
#include "pushd/jwt.h"
#include "pushd/oauth.h"
#include "pushd/provider.h"
#include "pushd/service_account.h"

#define FILE_MAX (64 * 1024)
/* Apple: no older than an hour, no younger than 20 minutes when it is replaced. */
#define SIGNED_FOR_MS (50 * 60 * 1000)
#define SIGNED_LEAST_MS (20 * 60 * 1000)
#define CLOCK_SLACK_MS (60 * 1000)

struct credential {
	struct list_link link; /* in credentials */
	unsigned users;
	enum provider_scheme scheme;
	const struct conf_provider *provider; /* the first that opened it; the texts are the same */
	struct list watches;
	struct jwt_key *key; /* SCHEME_SIGNED */
	char *token;
	int64_t signed_ms; /* by the wall clock, as the token says it and the provider judges it */
	unsigned generation;
	struct service_account account; /* SCHEME_OAUTH */
	struct oauth oauth;
};

static struct list credentials;

static enum provider_scheme scheme_of(const struct conf_provider *provider)
{
	return provider_kinds[provider->kind]->scheme;
}

static int read_key(struct credential *credential, const struct conf_provider *provider, char **why)
{
	const char *fault;
	size_t len;
	char *pem;

	if (provider->key_file == NULL || provider->key_id == NULL || provider->team_id == NULL) {
		*why = mem_dup("key-file, key-id and team-id are needed");
		return -1;
	}
	pem = file_read(provider->key_file, FILE_MAX, &len);
	if (pem == NULL) {
		*why = mem_printf("key-file %s: %s", provider->key_file, strerror(errno));
		return -1;
	}
	credential->key = jwt_key_read(pem, len, JWT_ES256, &fault);
	mem_wipe(pem, len);
	free(pem);
	if (credential->key != NULL)
		return 0;
	*why = mem_printf("key-file %s %s", provider->key_file, fault);
	return -1;
}

static int read_account(struct credential *credential, const struct conf_provider *provider,
                        char **why)
{
	const char *path = provider->service_account_file;
	const char *fault = "names no project: project-id is needed";
	size_t len;
	char *text;

	if (path == NULL) {
		*why = mem_dup("service-account-file is needed");
		return -1;
	}
	text = file_read(path, FILE_MAX, &len);
	if (text == NULL) {
		*why = mem_printf("service-account-file %s: %s", path, strerror(errno));
		return -1;
	}
	if (service_account_read(&credential->account, text, len, &fault) == 0 &&
	    (provider->project_id != NULL || credential->account.project_id != NULL))
		fault = NULL;
	mem_wipe(text, len);
	free(text);
	if (fault != NULL)
		*why = mem_printf("service-account-file %s %s", path, fault);
	return fault == NULL ? 0 : -1;
}

static void free_credential(struct credential *credential)
{
	jwt_key_free(credential->key);
	mem_free_secret(credential->token);
	service_account_release(&credential->account);
	free(credential);
}

/* A credential that isn't in use yet. */
static struct credential *read_credential(const struct conf_provider *provider, char **why)
{
	struct credential *credential = mem_alloc(1, sizeof(*credential));
	int result;

	credential->provider = provider;
	credential->scheme = scheme_of(provider);
	list_init(&credential->watches);
	if (credential->scheme == SCHEME_SIGNED)
		result = read_key(credential, provider, why);
	else
		result = read_account(credential, provider, why);
	if (result == 0)
		return credential;
	free_credential(credential);
	return NULL;
}

int credential_check(const struct conf_provider *provider, char **why)
{
	struct credential *credential = read_credential(provider, why);

	if (credential == NULL)
		return -1;
	free_credential(credential);
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_files(const struct conf_provider *a, const struct conf_provider *b)
{
	return scheme_of(a) == scheme_of(b) && same_text(a->key_file, b->key_file) &&
	       same_text(a->key_id, b->key_id) && same_text(a->team_id, b->team_id) &&
	       same_text(a->service_account_file, b->service_account_file) &&
	       same_text(a->ca_file, b->ca_file);
}

static struct credential *find_shared(const struct conf_provider *provider)
{
	list_for_each (link, &credentials) {
		struct credential *credential = container_of(link, struct credential, link);

		if (same_files(credential->provider, provider))
			return credential;
	}
	return NULL;
}

static void on_oauth(struct oauth *oauth)
{
	struct credential *credential = container_of(oauth, struct credential, oauth);

	list_for_each (link, &credential->watches) {
		struct credential_watch *watch = container_of(link, struct credential_watch, link);

		watch->changed(watch);
	}
}

static void start(struct credential *credential)
{
	list_append(&credentials, &credential->link);
	if (credential->scheme != SCHEME_OAUTH)
		return;
	credential->oauth.changed = on_oauth;
	oauth_start(&credential->oauth, &credential->account, credential->provider->ca_file);
}

struct credential *credential_open(const struct conf_provider *provider,
                                   struct credential_watch *watch, char **why)
{
	struct credential *credential;

	if (credentials.head.next == NULL)
		list_init(&credentials);
	credential = find_shared(provider);
	if (credential == NULL) {
		credential = read_credential(provider, why);
		if (credential == NULL)
			return NULL;
		start(credential);
	}
	credential->users++;
	list_append(&credential->watches, &watch->link);
	return credential;
}

void credential_close(struct credential *credential, struct credential_watch *watch)
{
	list_remove(&watch->link);
	if (--credential->users > 0)
		return;
	list_remove(&credential->link);
	if (credential->scheme == SCHEME_OAUTH)
		oauth_stop(&credential->oauth);
	free_credential(credential);
}

static void sign(struct credential *credential)
{
	int64_t now_ms = loop_wall_ms();
	json_t *claims = json_pack("{s:s, s:I}", "iss", credential->provider->team_id, "iat",
	                           (json_int_t)(now_ms / 1000));

	mem_free_secret(credential->token);
	credential->token = jwt_sign(credential->key, credential->provider->key_id, claims);
	credential->signed_ms = now_ms;
	credential->generation++;
	json_decref(claims);
}

/* Also true of a token from the future: the clock was wrong when it was signed. */
static bool older_than(const struct credential *credential, int64_t most_ms)
{
	int64_t age_ms = loop_wall_ms() - credential->signed_ms;

	return credential->token == NULL || age_ms > most_ms || age_ms < -CLOCK_SLACK_MS;
}

enum credential_state credential_state(struct credential *credential)
{
	if (credential->scheme == SCHEME_SIGNED || oauth_token(&credential->oauth) != NULL)
		return CREDENTIAL_READY;
	return credential->oauth.fetching ? CREDENTIAL_WAITING : CREDENTIAL_FAILED;
}

const char *credential_bearer(struct credential *credential, unsigned *generation)
{
	if (credential->scheme == SCHEME_OAUTH) {
		*generation = credential->oauth.generation;
		return oauth_token(&credential->oauth);
	}
	if (older_than(credential, SIGNED_FOR_MS))
		sign(credential);
	*generation = credential->generation;
	return credential->token;
}

void credential_renew(struct credential *credential, unsigned generation)
{
	if (credential->scheme == SCHEME_OAUTH) {
		if (credential->oauth.generation == generation)
			oauth_renew(&credential->oauth);
	} else if (credential->generation == generation &&
	           older_than(credential, SIGNED_LEAST_MS)) {
		sign(credential);
	}
}

unsigned credential_version(const struct credential *credential)
{
	return 1;
}

const char *credential_certificate(const struct credential *credential)
{
	return NULL;
}

const char *credential_key(const struct credential *credential)
{
	return NULL;
}

const char *credential_topic(const struct credential *credential)
{
	return NULL;
}

const char *credential_project(const struct credential *credential)
{
	return credential->account.project_id;
}
