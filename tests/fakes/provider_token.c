#include "tests/fakes/provider_token.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/fakes/jwt.h"

#define LIFE_S 3600        /* a token is good for this long after "iat" */
#define UPDATE_S (20 * 60) /* the least time between two tokens of a connection */
#define SKEW_S 300         /* how far ahead a sender's clock may be */
#define CACHE_MAX 256      /* tokens whose verdict is kept */

/* What is known of one token's text, good or bad; its age is another matter. */
struct verdict {
	const char *reason; /* NULL: signed by the right key */
	int64_t issued_s;
	char *jwt; /* the key in the cache */
};

static void forget_all(struct provider_tokens *tokens)
{
	struct verdict *verdict;
	size_t cursor = 0;

	while ((verdict = map_next(&tokens->verified, &cursor)) != NULL) {
		free(verdict->jwt);
		free(verdict);
	}
	map_release(&tokens->verified);
}

static struct verdict *examine(const struct provider_tokens *tokens, const char *text)
{
	struct verdict *verdict = mem_alloc(1, sizeof(*verdict));
	struct jwt jwt;

	verdict->jwt = mem_dup(text);
	verdict->reason = "InvalidProviderToken";
	if (jwt_read(&jwt, text, tokens->key) != JWT_GOOD)
		return verdict;
	verdict->issued_s = jwt_number(jwt.claims, "iat");
	if (strcmp(jwt_text(jwt.header, "kid"), tokens->key_id) == 0 &&
	    strcmp(jwt_text(jwt.claims, "iss"), tokens->team_id) == 0 && verdict->issued_s >= 0)
		verdict->reason = NULL;
	jwt_release(&jwt);
	return verdict;
}

static const struct verdict *verdict_of(struct provider_tokens *tokens, const char *text)
{
	struct verdict *verdict = map_get(&tokens->verified, text, strlen(text));

	if (verdict != NULL)
		return verdict;
	if (tokens->verified.count >= CACHE_MAX)
		forget_all(tokens);
	verdict = examine(tokens, text);
	map_put(&tokens->verified, verdict->jwt, strlen(verdict->jwt), verdict);
	return verdict;
}

static const char *check_age(int64_t issued_s, int64_t now_s)
{
	if (issued_s > now_s + SKEW_S)
		return "InvalidProviderToken";
	return now_s - issued_s > LIFE_S ? "ExpiredProviderToken" : NULL;
}

/*
 * A connection's token may be replaced by one that was issued 20 minutes later: counted from one
 * "iat" to the next, so that a connection which was opened late in a token's life can follow.
 */
static const char *check_change(const struct apns_binding *binding, const struct verdict *verdict)
{
	if (binding->jwt != NULL && llabs(verdict->issued_s - binding->issued_s) < UPDATE_S)
		return "TooManyProviderTokenUpdates";
	return NULL;
}

static const char *check_new(struct provider_tokens *tokens, struct apns_binding *binding,
                             const char *text, int64_t now_s)
{
	const struct verdict *verdict = verdict_of(tokens, text);
	const char *reason = verdict->reason;

	if (reason == NULL)
		reason = check_age(verdict->issued_s, now_s);
	if (reason == NULL)
		reason = check_change(binding, verdict);
	if (reason != NULL)
		return reason;
	free(binding->jwt);
	binding->jwt = mem_dup(text);
	binding->issued_s = verdict->issued_s;
	return NULL;
}

const char *provider_token_check(struct provider_tokens *tokens, struct apns_binding *binding,
                                 const char *authorization, int64_t now_s)
{
	const char *text;

	if (authorization == NULL || authorization[0] == '\0')
		return "MissingProviderToken";
	if (strncasecmp(authorization, "bearer ", 7) != 0)
		return "InvalidProviderToken";
	text = authorization + 7;
	if (binding->jwt != NULL && strcmp(binding->jwt, text) == 0)
		return check_age(binding->issued_s, now_s);
	return check_new(tokens, binding, text, now_s);
}

void apns_binding_release(struct apns_binding *binding)
{
	free(binding->jwt);
	binding->jwt = NULL;
	binding->issued_s = 0;
}

void provider_tokens_release(struct provider_tokens *tokens)
{
	forget_all(tokens);
}
