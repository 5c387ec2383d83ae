#include "pushd/oauth.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "pushd/provider.h"

#define FETCH_TIMEOUT_MS 10000
#define RENEW_EARLY_S 300
#define RENEW_JITTER_S 60
#define LIFE_LEAST_S 10
#define LIFE_DEFAULT_S 3600
#define LIFE_MOST_S 86400
#define TOKEN_MAX 4096

static void on_answer(struct http_call *call);

static void fetch(struct oauth *oauth)
{
	static const char *const headers[] = { "content-type: application/x-www-form-urlencoded",
		                               "accept: application/json", NULL };

	if (oauth->fetching)
		return;
	timer_stop(&oauth->again);
	mem_free_secret(oauth->form);
	oauth->form = service_account_grant(oauth->account, loop_wall_ms() / 1000);
	oauth->call = (struct http_call){
		.done = on_answer,
		.method = "POST",
		.url = oauth->account->token_uri,
		.headers = headers,
		.body = oauth->form,
		.body_len = strlen(oauth->form),
		.timeout_ms = FETCH_TIMEOUT_MS,
	};
	oauth->fetching = true;
	http_send(oauth->pool, &oauth->call);
}

static void on_again(struct timer *timer)
{
	fetch(container_of(timer, struct oauth, again));
}

/* Renewed some minutes before the end; a short life is used to three quarters. */
static void plan_renewal(struct oauth *oauth, int64_t life_s)
{
	int64_t early_s = RENEW_EARLY_S + backoff_random() % RENEW_JITTER_S;

	if (early_s > life_s / 4)
		early_s = life_s / 4;
	timer_start(&oauth->again, (uint64_t)(life_s - early_s) * 1000);
}

static bool usable(const char *token)
{
	size_t len = token != NULL ? strlen(token) : 0;

	if (len == 0 || len > TOKEN_MAX)
		return false;
	while (*token > ' ' && *token <= '~')
		token++;
	return *token == '\0';
}

/* Keeps the token of a good answer; -1 if it has none. */
static int take_token(struct oauth *oauth, const json_t *answer)
{
	const char *token = json_string_value(json_object_get(answer, "access_token"));
	const json_t *life = json_object_get(answer, "expires_in");
	int64_t life_s = json_is_integer(life) ? json_integer_value(life) : LIFE_DEFAULT_S;

	if (!usable(token))
		return -1;
	if (life_s < LIFE_LEAST_S)
		life_s = LIFE_LEAST_S;
	if (life_s > LIFE_MOST_S)
		life_s = LIFE_MOST_S;
	mem_free_secret(oauth->token);
	oauth->token = mem_dup(token);
	oauth->generation++;
	oauth->expires_ms = (int64_t)loop_now_ms() + life_s * 1000;
	backoff_reset(&oauth->backoff);
	plan_renewal(oauth, life_s);
	log_info("oauth-token account=%s life_s=%" PRId64, oauth->account->client_email, life_s);
	return 0;
}

static void log_failure(const struct oauth *oauth, const json_t *answer, uint32_t delay_ms)
{
	const struct http_call *call = &oauth->call;
	char error[JUDGEMENT_REASON_MAX];

	provider_copy_text(error, sizeof(error),
	                   json_string_value(json_object_get(answer, "error")));
	if (call->failure != HTTP_OK)
		log_error("oauth-failed account=%s reason=%s error=\"%s\" again_ms=%u",
		          oauth->account->client_email, http_failure_name(call->failure),
		          call->error, delay_ms);
	else
		log_error("oauth-failed account=%s status=%u error=%s again_ms=%u",
		          oauth->account->client_email, call->status, error, delay_ms);
}

static void on_answer(struct http_call *call)
{
	struct oauth *oauth = container_of(call, struct oauth, call);
	json_t *answer = NULL;
	uint32_t delay_ms;

	oauth->fetching = false;
	if (call->failure == HTTP_OK)
		answer = json_loadb(call->response, call->response_len, 0, NULL);
	if (call->failure != HTTP_OK || call->status != 200 || take_token(oauth, answer) != 0) {
		delay_ms = backoff_next(&oauth->backoff);
		timer_start(&oauth->again, delay_ms);
		log_failure(oauth, answer, delay_ms);
	}
	json_decref(answer);
	http_release(call);
	oauth->changed(oauth);
}

void oauth_start(struct oauth *oauth, struct service_account *account, const char *ca_file)
{
	struct http_pool_options options = {
		.http2 = true,
		.connections = 1,
		.ca_file = ca_file,
	};

	oauth->account = account;
	oauth->pool = http_pool_new(&options);
	oauth->backoff = (struct backoff){ .least_ms = 1000, .most_ms = 60000 };
	oauth->again.expired = on_again;
	fetch(oauth);
}

void oauth_stop(struct oauth *oauth)
{
	timer_stop(&oauth->again);
	http_release(&oauth->call);
	http_pool_free(oauth->pool);
	mem_free_secret(oauth->form);
	mem_free_secret(oauth->token);
	*oauth = (struct oauth){ 0 };
}

const char *oauth_token(struct oauth *oauth)
{
	if (oauth->token == NULL || (int64_t)loop_now_ms() >= oauth->expires_ms)
		return NULL;
	return oauth->token;
}

void oauth_renew(struct oauth *oauth)
{
	mem_free_secret(oauth->token);
	oauth->token = NULL;
	fetch(oauth);
}
