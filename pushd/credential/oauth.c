#include "pushd/credential/oauth.h"

#include <jansson.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"

#define FETCH_TIMEOUT_MS 10000
#define LIFE_LEAST_S 10
#define LIFE_DEFAULT_S 3600
#define LIFE_MOST_S 86400
#define TOKEN_MAX 4096
#define ERROR_MAX 48 /* of what the endpoint calls it, in the log */

static bool usable(const char *token)
{
	size_t len = token != NULL ? strlen(token) : 0;

	if (len == 0 || len > TOKEN_MAX)
		return false;
	while (*token > ' ' && *token <= '~')
		token++;
	return *token == '\0';
}

static int64_t life_of(const json_t *answer)
{
	const json_t *life = json_object_get(answer, "expires_in");
	int64_t life_s = json_is_integer(life) ? json_integer_value(life) : LIFE_DEFAULT_S;

	if (life_s < LIFE_LEAST_S)
		life_s = LIFE_LEAST_S;
	if (life_s > LIFE_MOST_S)
		life_s = LIFE_MOST_S;
	return life_s * 1000;
}

static void log_failure(const struct oauth *oauth, const json_t *answer)
{
	const struct http_call *call = &oauth->call;
	char error[ERROR_MAX];

	mem_copy_word(error, sizeof(error), json_string_value(json_object_get(answer, "error")));
	if (call->failure != HTTP_OK)
		log_error("oauth-failed account=%s reason=%s error=\"%s\"",
		          oauth->account->client_email, http_failure_name(call->failure),
		          call->error);
	else
		log_error("oauth-failed account=%s status=%u error=%s",
		          oauth->account->client_email, call->status, error);
}

static void on_http_done(struct http_call *call)
{
	struct oauth *oauth = container_of(call, struct oauth, call);
	const char *token = NULL;
	json_t *answer = NULL;

	mem_free_secret(oauth->form);
	oauth->form = NULL;
	if (call->failure == HTTP_OK)
		answer = json_loadb(call->response, call->response_len, 0, NULL);
	if (call->failure == HTTP_OK && call->status == 200)
		token = json_string_value(json_object_get(answer, "access_token"));
	if (!usable(token)) {
		token = NULL;
		log_failure(oauth, answer);
	}
	oauth->refused = call->failure == HTTP_OK && call->status >= 400 && call->status < 500 &&
	                 call->status != 429;
	if (call->response != NULL)
		mem_wipe((char *)call->response, call->response_len);
	http_release(call);
	oauth->done(oauth, token, life_of(answer));
	if (token != NULL) /* jansson's own copy */
		mem_wipe((char *)token, strlen(token));
	json_decref(answer);
}

void oauth_start(struct oauth *oauth, const struct service_account *account,
                 const struct conf_provider *provider)
{
	struct http_pool_options options = {
		.http2 = true,
		.connections = 1,
		.ca_file = provider->ca_file,
		.proxy = provider->http_proxy,
	};

	oauth->account = account;
	oauth->pool = http_pool_new(&options);
}

void oauth_stop(struct oauth *oauth)
{
	if (oauth->pool == NULL)
		return;
	http_release(&oauth->call);
	http_pool_free(oauth->pool);
	mem_free_secret(oauth->form);
	oauth->pool = NULL;
	oauth->form = NULL;
}

void oauth_fetch(struct oauth *oauth)
{
	static const char *const headers[] = { "content-type: application/x-www-form-urlencoded",
		                               "accept: application/json", NULL };

	oauth->form = service_account_grant(oauth->account, loop_wall_ms() / 1000);
	oauth->call = (struct http_call){
		.done = on_http_done,
		.method = "POST",
		.url = oauth->account->token_uri,
		.headers = headers,
		.body = oauth->form,
		.body_len = strlen(oauth->form),
		.timeout_ms = FETCH_TIMEOUT_MS,
	};
	http_send(oauth->pool, &oauth->call);
}
