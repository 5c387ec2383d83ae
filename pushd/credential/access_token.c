#include "pushd/credential/access_token.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/panic.h"
#include "common/http/http_client.h"
#include "pushd/credential/sealed_store.h"
#include "pushd/credential/service_account.h"

#define CLOCK_SLACK_MS (60 * 1000)

/* Google's are renewed 5 minutes before their end, or after 3/4 of a shorter life. */
#define RENEW_EARLY_MS (300 * 1000)

/* The token endpoint, and the life of what it gives. */
#define FETCH_TIMEOUT_MS 10000
#define LIFE_LEAST_S 10
#define LIFE_DEFAULT_S 3600
#define LIFE_MOST_S 86400
#define TOKEN_MAX 4096
#define ERROR_MAX 48 /* of what the endpoint calls it, in the log */

#define LOCK_MS 15000 /* longer than the endpoint may take */
#define RETRY_MOST_MS 60000
#define LOOK_AGAIN_MS 250 /* while another pushd makes the token */

/*
 *   idle ──▶ reading ──────▶ locking ──────▶ making ──▶ writing ──▶ idle, with a new token
 *              │  ▲             │ another has it  └─▶ unlocking │
 *              │  └── later ◀───┴─────────────────────────┴─────┘
 *              └──▶ idle, with the one that was found
 *
 * Without a sealed store: idle, making, and idle or later. If Redis refuses writes and the token
 * in use ends soon: from locking straight to making, and the new token isn't shared.
 */
enum step {
	STEP_IDLE,
	STEP_READING,
	STEP_LOCKING,
	STEP_MAKING,
	STEP_WRITING,
	STEP_UNLOCKING,
	STEP_LATER,
};

struct access_token {
	struct list_link link; /* in tokens */
	unsigned users;
	struct list watches;
	struct material *material;
	char *origin; /* that it is for; NULL: for all */
	const struct conf_provider *provider;
	enum step step;
	char *text;          /* NULL: none yet */
	bool refused;        /* the provider called it expired */
	unsigned generation; /* of the text */
	int64_t made_ms;     /* by the wall clock, as a JWT says it and the provider judges it */
	int64_t ends_ms;     /* likewise */
	char *made;          /* one that is being written, and its times */
	int64_t new_made_ms, new_ends_ms;
	bool failed;        /* the last attempt to make one failed */
	struct timer again; /* renewal, or the next try */
	struct backoff backoff;
	struct sealed_store_call call;
	struct {
		struct http_pool *pool;
		struct http_call call;
		char *form;   /* what is being posted */
		bool refused; /* the account: a status 4xx except 429 */
	} endpoint;           /* all zero for a token that is signed here */
};

static struct list tokens;
static unsigned generations;

static bool is_signed(const struct access_token *token)
{
	return token->material->form->sign != NULL;
}

static const struct bearer_life *life_of(const struct access_token *token)
{
	return &token->material->form->life;
}

/* ---- how old it is ---- */

/* A token that was made in the future counts as old: a clock was wrong when it was made. */
static bool older_than(int64_t made_ms, int64_t most_ms)
{
	int64_t age_ms = loop_wall_ms() - made_ms;

	return age_ms > most_ms || age_ms < -CLOCK_SLACK_MS;
}

static int64_t early_ms(int64_t made_ms, int64_t ends_ms)
{
	int64_t quarter_ms = (ends_ms - made_ms) / 4;

	return quarter_ms < RENEW_EARLY_MS ? quarter_ms : RENEW_EARLY_MS;
}

/* True if a token with these times need not be renewed yet. */
static bool is_fresh(const struct access_token *token, int64_t made_ms, int64_t ends_ms)
{
	if (is_signed(token))
		return !older_than(made_ms, life_of(token)->renew_after_ms);
	return loop_wall_ms() < ends_ms - early_ms(made_ms, ends_ms) &&
	       !older_than(made_ms, ends_ms - made_ms);
}

/* True if the text may be used. While renewing fails, it is used until its end. */
static bool is_good(const struct access_token *token)
{
	return token->text != NULL && !token->refused && loop_wall_ms() < token->ends_ms &&
	       !older_than(token->made_ms, token->ends_ms - token->made_ms);
}

/* True if the token may end before the next attempt to write a new one to Redis. */
static bool is_needed(const struct access_token *token)
{
	return !is_good(token) || token->ends_ms - loop_wall_ms() <= 2 * RETRY_MOST_MS;
}

/* ---- the token endpoint ---- */

static void take_given(struct access_token *token, const char *text, int64_t life_ms);

static const struct service_account *account_of(const struct access_token *token)
{
	return token->material->form->account(token->material);
}

static bool is_usable(const char *token)
{
	size_t len = token != NULL ? strlen(token) : 0;

	if (len == 0 || len > TOKEN_MAX)
		return false;
	while (*token > ' ' && *token <= '~')
		token++;
	return *token == '\0';
}

static int64_t read_life(const json_t *answer)
{
	const json_t *life = json_object_get(answer, "expires_in");
	int64_t life_s = json_is_integer(life) ? json_integer_value(life) : LIFE_DEFAULT_S;

	if (life_s < LIFE_LEAST_S)
		life_s = LIFE_LEAST_S;
	if (life_s > LIFE_MOST_S)
		life_s = LIFE_MOST_S;
	return life_s * 1000;
}

static void log_failure(const struct access_token *token, const json_t *answer)
{
	const struct http_call *call = &token->endpoint.call;
	const char *account = account_of(token)->client_email, *id = token->provider->id;
	const char *why = json_string_value(json_object_get(answer, "error_description"));
	char error[ERROR_MAX];

	mem_copy_word(error, sizeof(error), json_string_value(json_object_get(answer, "error")));
	if (call->failure != HTTP_OK)
		log_error("oauth-failed provider=%s account=%s reason=%s error=\"%s\"", id, account,
		          http_failure_name(call->failure), call->error);
	else
		log_error("oauth-failed provider=%s account=%s status=%u error=%s "
		          "description=\"%.200s\"",
		          id, account, call->status, error, why != NULL ? why : "");
}

static void on_http_done(struct http_call *call)
{
	struct access_token *token = container_of(call, struct access_token, endpoint.call);
	const char *text = NULL;
	json_t *answer = NULL;

	mem_free_secret(token->endpoint.form);
	token->endpoint.form = NULL;
	if (call->failure == HTTP_OK)
		answer = json_loadb(call->response, call->response_len, 0, NULL);
	if (call->failure == HTTP_OK && call->status == 200)
		text = json_string_value(json_object_get(answer, "access_token"));
	if (!is_usable(text)) {
		text = NULL;
		log_failure(token, answer);
	}
	token->endpoint.refused = call->failure == HTTP_OK && call->status >= 400 &&
	                          call->status < 500 && call->status != 429;
	if (call->response != NULL)
		mem_wipe((char *)call->response, call->response_len);
	http_release(call);
	take_given(token, text, read_life(answer));
	if (text != NULL) /* jansson's own copy */
		mem_wipe((char *)text, strlen(text));
	json_decref(answer);
}

static void open_endpoint(struct access_token *token)
{
	struct http_pool_options options = {
		.http2 = true,
		.http1_too = true,
		.connections = 1,
		.ca_file = token->provider->ca_file,
		.proxy = token->provider->http_proxy,
	};

	token->endpoint.pool = http_pool_new(&options);
}

/* Cancels the request; fine for a token that is signed here. */
static void close_endpoint(struct access_token *token)
{
	if (token->endpoint.pool == NULL)
		return;
	http_release(&token->endpoint.call);
	http_pool_free(token->endpoint.pool);
	mem_free_secret(token->endpoint.form);
}

static void ask_endpoint(struct access_token *token)
{
	static const char *const headers[] = { "content-type: application/x-www-form-urlencoded",
		                               "accept: application/json", NULL };
	const struct service_account *account = account_of(token);

	token->endpoint.form = service_account_grant(account, loop_wall_ms() / 1000);
	token->endpoint.call = (struct http_call){
		.done = on_http_done,
		.method = "POST",
		.url = account->token_uri,
		.headers = headers,
		.body = token->endpoint.form,
		.body_len = strlen(token->endpoint.form),
		.timeout_ms = FETCH_TIMEOUT_MS,
	};
	http_send(token->endpoint.pool, &token->endpoint.call);
}

/* ---- steps ---- */

static void renew(struct access_token *token);

static void notify(struct access_token *token)
{
	list_for_each (link, &token->watches) {
		struct access_token_watch *watch =
		        container_of(link, struct access_token_watch, link);

		watch->changed(watch);
	}
}

static void try_later(struct access_token *token, uint32_t delay_ms)
{
	token->step = STEP_LATER;
	timer_start(&token->again, delay_ms);
}

static void drop_made(struct access_token *token)
{
	mem_free_secret(token->made);
	token->made = NULL;
}

/* A signed token is renewed when it is asked for; one from an endpoint by a timer, early. */
static void plan_renewal(struct access_token *token)
{
	int64_t early = early_ms(token->made_ms, token->ends_ms);
	int64_t jitter = backoff_random() % (early / 5 + 1);
	int64_t delay_ms = token->ends_ms - early - jitter - loop_wall_ms();

	if (is_signed(token))
		return;
	timer_start(&token->again, (uint64_t)(delay_ms > 1000 ? delay_ms : 1000));
}

/* Replaces the token by TEXT, which is owned from here on. */
static void adopt(struct access_token *token, char *text, int64_t made_ms, int64_t ends_ms)
{
	mem_free_secret(token->text);
	token->text = text;
	token->made_ms = made_ms;
	token->ends_ms = ends_ms;
	token->refused = false;
	token->failed = false;
	token->generation = ++generations;
	token->step = STEP_IDLE;
	backoff_reset(&token->backoff);
	timer_stop(&token->again);
	plan_renewal(token);
	notify(token);
}

static void adopt_made(struct access_token *token)
{
	char *text = token->made;

	token->made = NULL;
	log_info("access-token-made provider=%s life_s=%" PRId64, token->provider->id,
	         (token->new_ends_ms - token->new_made_ms) / 1000);
	adopt(token, text, token->new_made_ms, token->new_ends_ms);
}

static char *name_of(const struct access_token *token, const char *kind)
{
	return mem_printf("push:%s:%s%s%s", kind, token->material->fingerprint,
	                  token->origin != NULL ? ":" : "",
	                  token->origin != NULL ? token->origin : "");
}

static void write_made(struct access_token *token)
{
	char *name = name_of(token, "bearer");
	json_t *object = json_pack("{s:s, s:I, s:I}", "token", token->made, "made_ms",
	                           (json_int_t)token->new_made_ms, "ends_ms",
	                           (json_int_t)token->new_ends_ms);
	char *text = json_dumps(object, JSON_COMPACT);

	token->step = STEP_WRITING;
	sealed_store_put(&token->call, name, text, token->new_ends_ms - token->new_made_ms);
	mem_wipe((char *)json_string_value(json_object_get(object, "token")), strlen(token->made));
	json_decref(object);
	mem_free_secret(text);
	free(name);
}

/* Takes over TEXT, a token that was just made. */
static void take_made(struct access_token *token, char *text, int64_t life_ms)
{
	token->made = text;
	token->new_made_ms = loop_wall_ms();
	token->new_ends_ms = token->new_made_ms + life_ms;
	if (sealed_store_usable())
		write_made(token);
	else
		adopt_made(token);
}

static void make(struct access_token *token)
{
	token->step = STEP_MAKING;
	if (is_signed(token))
		take_made(token,
		          token->material->form->sign(token->material, token->origin,
		                                      loop_wall_ms() / 1000),
		          life_of(token)->life_ms);
	else
		ask_endpoint(token);
}

static void unlock(struct access_token *token)
{
	char *name = name_of(token, "bearer-lock");

	token->step = STEP_UNLOCKING;
	sealed_store_remove(&token->call, name);
	free(name);
}

/* TEXT is what the endpoint gave; NULL: nothing, which has been logged. */
static void take_given(struct access_token *token, const char *text, int64_t life_ms)
{
	if (text != NULL) {
		take_made(token, mem_dup(text), life_ms);
		return;
	}
	token->failed = true;
	if (sealed_store_usable())
		unlock(token);
	else
		try_later(token, backoff_next(&token->backoff));
	notify(token);
}

/* ---- shared with the others ---- */

static void lock(struct access_token *token)
{
	char *name = name_of(token, "bearer-lock");

	token->step = STEP_LOCKING;
	sealed_store_lock(&token->call, name, LOCK_MS);
	free(name);
}

/* Uses the token that TEXT describes, unless it is the one in use or due for renewal. */
static bool take_shared(struct access_token *token, const char *text)
{
	json_t *object = json_loads(text, 0, NULL);
	const char *shared = json_string_value(json_object_get(object, "token"));
	int64_t made_ms = json_integer_value(json_object_get(object, "made_ms"));
	int64_t ends_ms = json_integer_value(json_object_get(object, "ends_ms"));
	bool ours = shared != NULL && token->text != NULL && strcmp(shared, token->text) == 0;
	bool good = shared != NULL && !ours && is_fresh(token, made_ms, ends_ms);

	if (good) {
		log_info("access-token-shared provider=%s age_s=%" PRId64, token->provider->id,
		         (loop_wall_ms() - made_ms) / 1000);
		adopt(token, mem_dup(shared), made_ms, ends_ms);
	}
	if (shared != NULL)
		mem_wipe((char *)shared, strlen(shared));
	json_decref(object);
	return good;
}

static void after_reading(struct access_token *token, enum sealed_store_result result,
                          const char *text)
{
	if (result == SEALED_UNAVAILABLE) {
		try_later(token, backoff_next(&token->backoff));
		return;
	}
	if (result == SEALED_UNREADABLE)
		log_error("access-token-unreadable provider=%s reason=\"it was sealed with another "
		          "master key\"",
		          token->provider->id);
	if (result != SEALED_DONE || !take_shared(token, text))
		lock(token);
}

/* After a success the lock is left to expire: a pushd that can't take it reads the new token. */
static void after_locking(struct access_token *token, enum sealed_store_result result)
{
	if (result == SEALED_DONE || (result == SEALED_REFUSED && is_needed(token)))
		make(token);
	else
		try_later(token,
		          result == SEALED_NONE ? LOOK_AGAIN_MS : backoff_next(&token->backoff));
}

/*
 * If Redis didn't answer, the new token is dropped: it may not have been written, and then another
 * pushd makes one too. If Redis refuses writes (it is full), no pushd can share a token, so each
 * uses its own.
 */
static void after_writing(struct access_token *token, enum sealed_store_result result)
{
	if (result == SEALED_REFUSED)
		log_warn("access-token-unshared provider=%s reason=redis-takes-nothing",
		         token->provider->id);
	if (result == SEALED_DONE || result == SEALED_REFUSED) {
		adopt_made(token);
		return;
	}
	drop_made(token);
	try_later(token, backoff_next(&token->backoff));
}

static void on_sealed_store_done(struct sealed_store_call *call, enum sealed_store_result result,
                                 const char *text)
{
	struct access_token *token = container_of(call, struct access_token, call);

	switch (token->step) {
	case STEP_READING:
		after_reading(token, result, text);
		break;
	case STEP_LOCKING:
		after_locking(token, result);
		break;
	case STEP_WRITING:
		after_writing(token, result);
		break;
	case STEP_UNLOCKING:
		try_later(token, backoff_next(&token->backoff));
		break;
	case STEP_IDLE:
	case STEP_MAKING:
	case STEP_LATER:
		panic("a call of the store ended in step %d", (int)token->step);
	}
}

static void renew(struct access_token *token)
{
	char *name;

	timer_stop(&token->again);
	if (!sealed_store_usable()) {
		make(token);
		return;
	}
	name = name_of(token, "bearer");
	token->step = STEP_READING;
	sealed_store_forget(&token->call); /* else an unchanged text isn't given again */
	sealed_store_get(&token->call, name);
	free(name);
}

static void on_timer(struct timer *timer)
{
	renew(container_of(timer, struct access_token, again));
}

/* ---- the interface ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_way(const struct conf_provider *a, const struct conf_provider *b)
{
	return same_text(a->ca_file, b->ca_file) && same_text(a->http_proxy, b->http_proxy);
}

/* Two providers may reach the same token endpoint in different ways. */
static struct access_token *find(const struct material *material, const char *origin,
                                 const struct conf_provider *provider)
{
	list_for_each (link, &tokens) {
		struct access_token *token = container_of(link, struct access_token, link);

		if (strcmp(token->material->fingerprint, material->fingerprint) == 0 &&
		    same_text(token->origin, origin) &&
		    (is_signed(token) || same_way(token->provider, provider)))
			return token;
	}
	return NULL;
}

static struct access_token *new_token(struct material *material, const char *origin,
                                      const struct conf_provider *provider)
{
	struct access_token *token = mem_alloc(1, sizeof(*token));

	token->material = material_hold(material);
	token->origin = mem_dup(origin);
	token->provider = provider;
	list_init(&token->watches);
	token->again.expired = on_timer;
	token->backoff = (struct backoff){ .least_ms = 1000, .most_ms = RETRY_MOST_MS };
	token->call.done = on_sealed_store_done;
	list_append(&tokens, &token->link);
	if (!is_signed(token))
		open_endpoint(token);
	renew(token);
	return token;
}

struct access_token *access_token_open(struct material *material, const char *origin,
                                       const struct conf_provider *provider,
                                       struct access_token_watch *watch)
{
	struct access_token *token;

	if (tokens.head.next == NULL)
		list_init(&tokens);
	token = find(material, origin, provider);
	if (token == NULL)
		token = new_token(material, origin, provider);
	token->users++;
	list_append(&token->watches, &watch->link);
	return token;
}

void access_token_close(struct access_token *token, struct access_token_watch *watch)
{
	if (token == NULL)
		return;
	list_remove(&watch->link);
	if (--token->users > 0)
		return;
	list_remove(&token->link);
	timer_stop(&token->again);
	sealed_store_forget(&token->call);
	close_endpoint(token);
	drop_made(token);
	mem_free_secret(token->text);
	free(token->origin);
	material_release(token->material);
	free(token);
}

/*
 * Renews the token if it is due. A signed token is renewed only here; one from an endpoint by its
 * timer, and here if the wall clock was set forward past its end, which moves no timer.
 */
static void look_after(struct access_token *token)
{
	if (token->step == STEP_IDLE && !is_fresh(token, token->made_ms, token->ends_ms))
		renew(token);
}

enum access_token_state access_token_state(struct access_token *token)
{
	look_after(token);
	if (is_good(token))
		return ACCESS_TOKEN_READY;
	if (!token->failed)
		return ACCESS_TOKEN_WAITING;
	return is_signed(token) || token->endpoint.refused ? ACCESS_TOKEN_FAILED
	                                                   : ACCESS_TOKEN_UNREACHABLE;
}

const char *access_token_text(struct access_token *token, unsigned *generation)
{
	look_after(token);
	if (!is_good(token))
		return NULL;
	*generation = token->generation;
	return token->text;
}

void access_token_renew(struct access_token *token, unsigned generation)
{
	if (token->generation != generation || token->text == NULL || token->refused)
		return;
	if (is_signed(token) && !older_than(token->made_ms, life_of(token)->least_ms))
		return;
	token->refused = true;
	if (token->step == STEP_IDLE || token->step == STEP_LATER)
		renew(token);
}
