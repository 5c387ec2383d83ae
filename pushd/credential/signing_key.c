#include "pushd/credential/signing_key.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "pushd/credential/jwt.h"

#define NAME_MAX_BYTES 64 /* of a key's id and a team's; Apple's have 10 */

struct signing_key {
	struct jwt_key *key;
	char *key_id, *team_id;
};

static bool recognise(const struct material_source *source)
{
	static const char begin[] = "-----BEGIN ";

	return memmem(source->bytes, source->len, begin, sizeof(begin) - 1) != NULL;
}

static bool is_name(const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0;

	return len > 0 && len <= NAME_MAX_BYTES &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") ==
	               len;
}

static char *parse(struct material *material, const struct material_source *source,
                   const struct credential_wanted *wanted)
{
	const char *key_id = source->key_id != NULL ? source->key_id : wanted->key_id;
	const char *team_id = source->team_id != NULL ? source->team_id : wanted->team_id;
	struct signing_key *own = mem_alloc(1, sizeof(*own));
	const char *fault;
	char *public;

	material->secret = own;
	own->key = jwt_key_read(source->bytes, source->len, JWT_ES256, &fault);
	if (own->key == NULL)
		return mem_dup(fault);
	if (!is_name(key_id) || !is_name(team_id))
		return mem_dup("needs the key's id and the team's id, of letters and digits");
	own->key_id = mem_dup(key_id);
	own->team_id = mem_dup(team_id);
	public = jwt_key_public(own->key);
	material_print_fingerprint(material,
	                           (const char *const[]){ "key", key_id, team_id, public, NULL });
	free(public);
	return NULL;
}

static char *check(const struct material *material, const struct credential_wanted *wanted)
{
	return wanted->topic != NULL ? NULL
	                             : mem_dup("names no topic, as a certificate does: topic must "
	                                       "be configured");
}

static void release(struct material *material)
{
	struct signing_key *own = material->secret;

	jwt_key_free(own->key);
	free(own->key_id);
	free(own->team_id);
	free(own);
}

/* PEM made here from the key: the file may have text around the key that isn't UTF-8. */
static json_t *keep(const struct material *material)
{
	const struct signing_key *own = material->secret;
	char *pem = jwt_key_print(own->key);
	json_t *object = json_pack("{s:s, s:s, s:s}", "text", pem, "key_id", own->key_id, "team_id",
	                           own->team_id);

	mem_free_secret(pem);
	return object;
}

static void describe(const struct material *material, json_t *answer, json_t *findings)
{
	const struct signing_key *own = material->secret;

	json_array_append_new(findings, json_sprintf("Requests are signed as key %s of team %s.",
	                                             own->key_id, own->team_id));
}

static char *sign(const struct material *material, const char *origin, int64_t now_s)
{
	const struct signing_key *own = material->secret;
	json_t *claims = json_pack("{s:s, s:I}", "iss", own->team_id, "iat", (json_int_t)now_s);
	char *text = jwt_sign(own->key, own->key_id, claims);

	json_decref(claims);
	return text;
}

/* Apple refuses tokens older than an hour, and new ones more often than every 20 minutes. */
const struct credential_form signing_key_form = {
	.name = "key",
	.recognise = recognise,
	.parse = parse,
	.check = check,
	.release = release,
	.keep = keep,
	.describe = describe,
	.sign = sign,
	.life = { .life_ms = 59 * 60 * 1000, /* a minute less: transfer, differing clocks */
	          .renew_after_ms = 50 * 60 * 1000,
	          .least_ms = 20 * 60 * 1000 },
};
