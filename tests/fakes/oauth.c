#include "tests/fakes/oauth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/fakes/form.h"
#include "tests/fakes/jwt.h"

#define GRANT_TYPE "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define GOOGLE_URI "https://oauth2.googleapis.com/token"
#define SKEW_S 300
#define LIFE_MAX_S 3600

struct refusal {
	unsigned status;
	const char *code;
	const char *description;
};

/* What is wrong with a request, in Google's words; the first of a code is what a script gets. */
/* clang-format off */
enum wrong {
	WRONG_NOTHING, WRONG_GRANT, WRONG_SIGNATURE, WRONG_TIME, WRONG_AUDIENCE, WRONG_ACCOUNT,
	WRONG_SCOPE, WRONG_GRANT_TYPE, WRONG_CLIENT, WRONG_REQUEST, WRONG_RATE, WRONG_SERVER,
	WRONG_UNAVAILABLE,
};

static const struct refusal refusals[] = {
	[WRONG_NOTHING] = { 200, "", "" },
	[WRONG_GRANT] = { 400, "invalid_grant", "Bad Request" },
	[WRONG_SIGNATURE] = { 400, "invalid_grant", "Invalid JWT Signature." },
	[WRONG_TIME] = { 400, "invalid_grant",
		"Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
		"timeframe. Check your iat and exp values in the JWT claim." },
	[WRONG_AUDIENCE] = { 400, "invalid_grant",
		"Invalid JWT: Failed audience check. The right audience is " GOOGLE_URI },
	[WRONG_ACCOUNT] = { 400, "invalid_grant", "Invalid grant: account not found" },
	[WRONG_SCOPE] = { 400, "invalid_scope",
		"Invalid OAuth scope or ID token audience provided." },
	[WRONG_GRANT_TYPE] = { 400, "unsupported_grant_type", "Invalid grant_type" },
	[WRONG_CLIENT] = { 401, "unauthorized_client",
		"Client is unauthorized to retrieve access tokens using this method, or client not "
		"authorized for any of the scopes requested." },
	[WRONG_REQUEST] = { 400, "invalid_request", "Missing required parameter: assertion" },
	[WRONG_RATE] = { 429, "rate_limit_exceeded", "Too many requests" },
	[WRONG_SERVER] = { 500, "internal_failure", "Internal failure" },
	[WRONG_UNAVAILABLE] = { 503, "temporarily_unavailable", "Try again later" },
};
/* clang-format on */

static void refuse(struct answer *answer, const struct refusal *refusal)
{
	answer->status = refusal->status;
	answer->type = "application/json; charset=utf-8";
	snprintf(answer->reason, sizeof(answer->reason), "%s", refusal->code);
	buf_printf(&answer->body, "{\"error\":\"%s\",\"error_description\":\"%s\"}", refusal->code,
	           refusal->description);
}

void oauth_refuse(struct answer *answer, unsigned status, const char *code)
{
	struct refusal refusal = { status, code, "" };

	for (size_t i = 1; i < ARRAY_LEN(refusals); i++) {
		if (code == NULL ? refusals[i].status != status
		                 : strcmp(refusals[i].code, code) != 0)
			continue;
		refusal = refusals[i];
		break;
	}
	if (refusal.code == NULL)
		refusal.code = "internal_failure";
	if (status != 0)
		refusal.status = status;
	else if (refusal.status == 0)
		refusal.status = 400;
	refuse(answer, &refusal);
}

static enum wrong check_times(const json_t *claims, int64_t now_s)
{
	int64_t issued = jwt_number(claims, "iat"), expires = jwt_number(claims, "exp");

	if (issued < 0 || expires < 0 || issued > now_s + SKEW_S || expires < now_s)
		return WRONG_TIME;
	return expires - issued > LIFE_MAX_S ? WRONG_TIME : WRONG_NOTHING;
}

/* Google's own URL, or the one by which the sender has reached us. */
static bool audience_good(const struct oauth *oauth, const struct request *request,
                          const char *audience)
{
	char own[300];

	if (strcmp(audience, GOOGLE_URI) == 0)
		return true;
	if (oauth->token_uri != NULL && strcmp(audience, oauth->token_uri) == 0)
		return true;
	snprintf(own, sizeof(own), "https://%s%s", request->authority, request->path);
	return strcmp(audience, own) == 0;
}

static bool scope_good(const char *scope)
{
	static const char *const scopes[] = {
		"https://www.googleapis.com/auth/firebase.messaging",
		"https://www.googleapis.com/auth/cloud-platform",
	};
	size_t len;

	for (; *scope != '\0'; scope += len + (scope[len] == ' ')) {
		len = strcspn(scope, " ");
		for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
			if (strlen(scopes[i]) == len && memcmp(scopes[i], scope, len) == 0)
				return true;
		}
	}
	return false;
}

static enum wrong check_claims(const struct oauth *oauth, const struct request *request,
                               const json_t *claims, int64_t now_s)
{
	enum wrong wrong;

	if (strcmp(jwt_text(claims, "iss"), oauth->email) != 0)
		return WRONG_ACCOUNT;
	wrong = check_times(claims, now_s);
	if (wrong != WRONG_NOTHING)
		return wrong;
	if (!audience_good(oauth, request, jwt_text(claims, "aud")))
		return WRONG_AUDIENCE;
	return scope_good(jwt_text(claims, "scope")) ? WRONG_NOTHING : WRONG_SCOPE;
}

static enum wrong check_assertion(const struct oauth *oauth, const struct request *request,
                                  const char *assertion, int64_t now_s)
{
	enum wrong wrong;
	struct jwt jwt;

	switch (jwt_read(&jwt, assertion, oauth->key)) {
	case JWT_MALFORMED:
	case JWT_OTHER_ALGORITHM:
		return WRONG_GRANT;
	case JWT_BAD_SIGNATURE:
		return WRONG_SIGNATURE;
	case JWT_GOOD:
		break;
	}
	wrong = check_claims(oauth, request, jwt.claims, now_s);
	jwt_release(&jwt);
	return wrong;
}

static enum wrong check_form(const struct oauth *oauth, const struct request *request,
                             const json_t *form, int64_t now_s)
{
	const char *assertion = json_string_value(json_object_get(form, "assertion"));

	if (strcmp(jwt_text(form, "grant_type"), GRANT_TYPE) != 0)
		return WRONG_GRANT_TYPE;
	if (assertion == NULL)
		return WRONG_REQUEST;
	return check_assertion(oauth, request, assertion, now_s);
}

static bool is_form(const struct request *request)
{
	const char *type = headers_find(&request->head, "content-type");

	return type != NULL && strncasecmp(type, "application/x-www-form-urlencoded", 33) == 0;
}

static enum wrong check(const struct oauth *oauth, const struct request *request, int64_t now_s)
{
	json_t *form;
	enum wrong wrong = WRONG_REQUEST;

	if (!is_form(request) || request->body_total > buf_len(&request->body))
		return WRONG_REQUEST;
	form = form_read(buf_data(&request->body), buf_len(&request->body));
	if (form != NULL)
		wrong = check_form(oauth, request, form, now_s);
	json_decref(form);
	return wrong;
}

void oauth_accept(struct oauth *oauth, int64_t life_s, int64_t now_ms, struct answer *answer)
{
	answer->status = 200;
	answer->type = "application/json; charset=utf-8";
	buf_printf(&answer->body,
	           "{\"access_token\":\"%s\",\"expires_in\":%lld,\"token_type\":\"Bearer\"}",
	           access_issue(oauth->access, now_ms + life_s * 1000), (long long)life_s);
}

void oauth_answer(struct oauth *oauth, const struct request *request, int64_t now_ms,
                  struct answer *answer)
{
	enum wrong wrong;

	if (strcmp(request->method, "POST") != 0) {
		answer->status = 405;
		answer->type = "text/html; charset=UTF-8";
		buf_text(&answer->body,
		         "<!DOCTYPE html><title>Error 405 (Method Not Allowed)</title>");
		return;
	}
	wrong = check(oauth, request, now_ms / 1000);
	if (wrong == WRONG_NOTHING)
		oauth_accept(oauth, OAUTH_LIFE_S, now_ms, answer);
	else
		refuse(answer, &refusals[wrong]);
}
