/*
 * A kind of provider that pushd doesn't have: it sends to the URL that is the device's token, over
 * HTTP/1.1, with a bearer token of its own for each origin; and a server that it sends to.
 */
#ifndef OG_TESTS_UNIT_TOY_KIND_H
#define OG_TESTS_UNIT_TOY_KIND_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/http/http_server.h"
#include "pushd/provider/kinds.h"
#include "pushd/provider/payload.h"

/* Its keys in [provider ID]. */
struct toy_conf {
	char *secret_file;
	int environment; /* 0: its own, 1: the other is tried, too */
};

static const char *const toy_environments[] = { "one", "both", NULL };

static const struct config_key toy_keys[] = {
	{ "toy-secret-file", CONFIG_STRING, offsetof(struct toy_conf, secret_file), NULL,
	  "What bearer tokens are made of." },
	{ "toy-environments", CONFIG_CHOICE, offsetof(struct toy_conf, environment), "one",
	  "Whether there is another one.", .choices = toy_environments },
	{ NULL },
};

/* ---- the form of its credential ---- */

static inline bool toy_recognise(const struct material_source *source)
{
	return strncmp(source->bytes, "toy:", 4) == 0;
}

static inline char *toy_parse(struct material *material, const struct material_source *source,
                              const struct credential_wanted *wanted)
{
	material->secret = mem_dup(source->bytes + 4);
	material_print_fingerprint(material, (const char *const[]){ source->bytes, NULL });
	return NULL;
}

static inline char *toy_fits(const struct material *material,
                             const struct credential_wanted *wanted)
{
	return *(const char *)material->secret != '\0' ? NULL : mem_dup("has no secret");
}

static inline void toy_release(struct material *material)
{
	mem_free_secret(material->secret);
}

static inline void toy_describe(const struct material *material, json_t *answer, json_t *findings)
{
	json_array_append_new(findings, json_string("It is a toy."));
}

static unsigned toy_signed; /* how many were made */

static inline char *toy_sign(const struct material *material, const char *origin, int64_t now_s)
{
	return mem_printf("%s-%u-for-%s", (const char *)material->secret, ++toy_signed, origin);
}

static const struct credential_form toy_form = {
	.name = "toy",
	.recognise = toy_recognise,
	.parse = toy_parse,
	.check = toy_fits,
	.release = toy_release,
	.describe = toy_describe,
	.sign = toy_sign,
	.life = { .life_ms = 3600000, .renew_after_ms = 3000000, .least_ms = -1 },
	.per_origin = true,
};

/* ---- the kind ---- */

static inline char *toy_check(const struct conf_provider *provider)
{
	const struct toy_conf *own = conf_own(provider);

	return own->secret_file != NULL ? NULL : mem_dup("toy-secret-file is needed");
}

static inline void toy_credential(const struct conf_provider *provider,
                                  struct credential_wanted *wanted)
{
	static const struct credential_form *const forms[] = { &toy_form, NULL };
	const struct toy_conf *own = conf_own(provider);

	*wanted = (struct credential_wanted){ .forms = forms,
		                              .no_form = "is no toy's secret",
		                              .file_key = "toy-secret-file",
		                              .file = own->secret_file,
		                              .needed = "toy-secret-file is needed" };
}

static inline void toy_describe_environments(const struct conf_provider *provider,
                                             struct provider_environments *environments)
{
	const struct toy_conf *own = conf_own(provider);

	environments->own = ENVIRONMENT_PRODUCTION;
	environments->other = own->environment == 1 ? ENVIRONMENT_SANDBOX : ENVIRONMENT_UNKNOWN;
}

/* What stands before the path of the URL that is the token. */
static inline bool toy_origin(const struct conf_provider *provider, enum environment environment,
                              const char *token, char origin[PROVIDER_ORIGIN_MAX])
{
	const char *path = token != NULL ? strchr(token + strlen("http://"), '/') : NULL;

	if (path == NULL || path - token >= PROVIDER_ORIGIN_MAX)
		return false;
	snprintf(origin, PROVIDER_ORIGIN_MAX, "%.*s", (int)(path - token), token);
	return true;
}

static inline bool toy_accept(char *token)
{
	return strncmp(token, "http://", strlen("http://")) == 0;
}

static bool toy_too_large; /* calls don't fit */

static inline void toy_write(struct json_text *out, const struct provider_message *message,
                             enum provider_cut cut)
{
	json_text_add(out, "{\"node\":");
	json_text_string(out, message->node);
	json_text_add(out, "}");
}

static inline int toy_build(const struct provider_message *message,
                            struct provider_request *request)
{
	if (toy_too_large && message->priority == PRIORITY_VOIP)
		return -1;
	request->url = payload_print(message->arena, "%s", message->token);
	request->headers[0] =
	        payload_print(message->arena, "authorization: Toy %s", message->bearer);
	request->headers[1] = NULL;
	request->cut = message->cut;
	payload_write(request, message, toy_write);
	return 0;
}

static const struct verdict_row toy_verdicts[] = {
	{ 400, NULL, VERDICT_SUSPECT, EFFECT_TOKEN_FAULT | EFFECT_OTHER_ENVIRONMENT },
	{ 401, NULL, VERDICT_EXPIRED },
	{ 403, NULL, VERDICT_CREDENTIAL },
	{ 410, NULL, VERDICT_GONE },
	{ 5, NULL, VERDICT_TRANSIENT },
	{ 0, NULL, VERDICT_REJECTED },
};

static inline void toy_judge(const struct provider_answer *answer, struct judgement *judgement)
{
	*judgement = (struct judgement){ .verdict = VERDICT_SENT, .status = answer->status };
	if (answer->status == 201)
		mem_copy_word(judgement->id, sizeof(judgement->id), answer->wanted[0]);
	else
		verdict_look_up(judgement, toy_verdicts, answer, "");
}

static const struct provider_kind toy_kind = {
	.conf = { "toy", toy_keys, sizeof(struct toy_conf) },
	.check = toy_check,
	.credential = toy_credential,
	.environments = toy_describe_environments,
	.origin = toy_origin,
	.protocol = PROTOCOL_HTTP11,
	.streams_max = 1,
	.wanted = { "content-type" },
	.accept_token = toy_accept,
	.build = toy_build,
	.judge = toy_judge,
};

/* ---- the server ---- */

#define TOY_REQUESTS_MAX 16

struct toy_server {
	struct http_server *server;
	char origin[64];
	unsigned statuses[TOY_REQUESTS_MAX]; /* of the answers, in order; 0: 201 */
	unsigned requests;
	char *bearers[TOY_REQUESTS_MAX]; /* headers, as they came */
	char paths[TOY_REQUESTS_MAX][16];
};

static inline void toy_serve(struct http_request *request)
{
	struct toy_server *toy = http_context(request);
	unsigned n = toy->requests++;

	ck_assert_uint_lt(n, TOY_REQUESTS_MAX);
	toy->bearers[n] = http_header_list(request, "authorization");
	snprintf(toy->paths[n], sizeof(toy->paths[n]), "%s", http_param(request, 0));
	http_reply(request, toy->statuses[n] != 0 ? toy->statuses[n] : 201, json_object());
}

static inline void toy_start(struct toy_server *toy)
{
	static const struct http_route routes[] = { { "POST", "/{device}", toy_serve }, { NULL } };
	struct http_server_options options = { .routes = routes, .body_max = 1000, .context = toy };
	char *why = NULL;

	*toy = (struct toy_server){ 0 };
	ck_assert_int_eq(net_parse("127.0.0.1:0", &options.listen), 0);
	toy->server = http_server_new(&options, &why);
	ck_assert_msg(toy->server != NULL, "%s", why);
	snprintf(toy->origin, sizeof(toy->origin), "http://127.0.0.1:%u",
	         net_port(http_server_address(toy->server)));
}

static inline void toy_stop(struct toy_server *toy)
{
	http_server_free(toy->server);
	for (unsigned i = 0; i < toy->requests; i++)
		free(toy->bearers[i]);
}

/* ---- its configuration ---- */

/* A file with TEXT in it; PATH is that of a mkstemp(). */
static inline void toy_write_file(char *path, const char *text)
{
	int fd = mkstemp(path);

	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

/* Makes the kind known to the configuration, behind those of pushd. */
static inline void toy_add(void)
{
	for (size_t i = 0; provider_kinds[i] != NULL; i++)
		conf_add_kind(&provider_kinds[i]->conf);
	conf_add_kind(&toy_kind.conf);
}

/* The configuration with one provider of the kind, whose section has MORE in it. */
static inline struct conf *toy_configure(const char *secret_file, const char *more)
{
	char path[] = "/tmp/og-unit-XXXXXX";
	struct buf complaints = { 0 };
	char *text =
	        mem_printf("[daemon]\napi-token = token-of-the-tests\n[provider toys]\nkind = toy\n"
	                   "toy-secret-file = %s\n%s",
	                   secret_file, more);
	struct conf *conf;

	toy_write_file(path, text);
	conf = config_read(&conf_table, path, &complaints);
	unlink(path);
	free(text);
	ck_assert_msg(conf != NULL, "%s", buf_data(&complaints));
	return conf;
}

#endif
