#include "pushd/api/credentials.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/http/http_server.h"
#include "pushd/conf.h"
#include "pushd/credential/credential.h"
#include "pushd/credential/material.h"
#include "pushd/credential/sealed_store.h"
#include "pushd/provider/kinds.h"
#include "pushd/sender/sender.h"

#define TEXT_MAX (128 * 1024)
#define PASSWORD_MAX 1024
#define NAME_MAX_BYTES 64
#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)
#define SOON_DAYS 30

/* ---- what there is to say of it ---- */

static void add_finding(json_t *findings, char *text)
{
	json_array_append_new(findings, json_string(text));
	free(text);
}

static void add_dates(json_t *findings, const struct material *material)
{
	int64_t days = (material->expires_ms - loop_wall_ms()) / DAY_MS;
	char *date = material_date(material->expires_ms);
	char *fault = material_judge_dates(material, loop_wall_ms());

	if (fault != NULL)
		add_finding(findings, mem_printf("It %s: nothing can be sent with it.", fault));
	else
		add_finding(findings,
		            mem_printf(days < SOON_DAYS ? "It expires soon, on %s: in %lld days."
		                                        : "It expires on %s, in %lld days.",
		                       date, (long long)days));
	free(fault);
	free(date);
}

static void say_lack(json_t *findings, const struct credential *credential,
                     const struct material *material)
{
	struct credential_wanted wanted;
	char *lack;

	credential_wants(credential, &wanted);
	lack = material_lack(material, &wanted);
	if (lack != NULL)
		add_finding(findings, mem_printf("It %s.", lack));
	free(lack);
}

/* What MATERIAL is good for, and with LACK_COUNTS what not; ANSWER gets what its form adds. */
static void say_all(json_t *findings, json_t *answer, const struct credential *credential,
                    const struct material *material, bool lack_counts)
{
	if (material->expires_ms != 0)
		add_dates(findings, material);
	material->form->describe(material, answer, findings);
	if (lack_counts)
		say_lack(findings, credential, material);
}

/* ---- providers ---- */

/* What CREDENTIAL is: no secret is in it. */
static json_t *describe_credential(const struct credential *credential)
{
	const struct material *material = credential_material(credential);
	json_t *object = json_object();

	if (material == NULL) {
		json_object_set_new(object, "kind", json_string("none"));
		return object;
	}
	json_object_set_new(object, "kind", json_string(material->form->name));
	json_object_set_new(object, "source",
	                    json_string(credential_is_stored(credential) ? "stored" : "file"));
	if (material->expires_ms != 0)
		json_object_set_new(object, "expires_ms",
		                    json_integer((json_int_t)material->expires_ms));
	if (material->topic != NULL)
		json_object_set_new(object, "topic", json_string(material->topic));
	return object;
}

/* What the provider said last, if it was a fault that no success has followed. */
static void say_trouble(json_t *findings, const struct breaker *trouble,
                        const struct credential *credential)
{
	const struct material *material = credential_material(credential);
	bool refused = trouble != NULL && trouble->fault == BREAKER_CREDENTIAL;
	char *date = trouble != NULL ? material_date(trouble->since_ms) : NULL;

	if (refused && material != NULL && material->certificate != NULL)
		add_finding(findings,
		            mem_printf("The certificate (%s) is refused by the provider since %s "
		                       "(%s).",
		                       credential_place(credential), date, trouble->reason));
	else if (trouble != NULL)
		add_finding(findings,
		            mem_printf(refused ? "Refused by the provider since %s (%s)."
		                               : "The provider can't be reached since %s (%s).",
		                       date, trouble->reason));
	free(date);
}

/* What is wrong with CALLS, the certificate for calls alone, so that they are sent as alerts. */
static void say_call_faults(json_t *findings, const struct credential *calls,
                            const struct breaker *trouble)
{
	const struct material *material = credential_material(calls);
	char *why = material_judge_dates(material, loop_wall_ms());

	if (why == NULL && trouble != NULL && trouble->fault == BREAKER_CREDENTIAL) {
		char *date = material_date(trouble->since_ms);

		why = mem_printf("is refused by the provider since %s (%s)", date, trouble->reason);
		free(date);
	}
	if (why != NULL)
		add_finding(findings, mem_printf("The certificate for calls (%s) %s: calls are "
		                                 "sent as alerts.",
		                                 credential_place(calls), why));
	free(why);
}

/* CALLS: the certificate for calls alone, or NULL. */
static json_t *find_out(struct credential *credential, const struct credential *calls,
                        const struct sender_trouble *trouble)
{
	const struct material *material = credential_material(credential);
	bool calls_are_served = calls != NULL && credential_material(calls) != NULL;
	json_t *findings = json_array(), *unused = json_object();

	if (material != NULL)
		say_all(findings, unused, credential, material, !calls_are_served);
	else if (credential_state(credential, NULL) == CREDENTIAL_ABSENT)
		add_finding(findings, mem_dup("There is none: nothing can be sent."));
	if (credential_state(credential, NULL) == CREDENTIAL_FAILED)
		add_finding(findings, mem_dup("The token endpoint gives no access token for it."));
	if (credential_file_fault(credential) != NULL)
		add_finding(findings, mem_printf("The file is refused: %s.",
		                                 credential_file_fault(credential)));
	say_trouble(findings, trouble->all, credential);
	if (calls_are_served)
		say_call_faults(findings, calls, trouble->calls);
	json_decref(unused);
	return findings;
}

static void serve_providers(struct http_request *request)
{
	json_t *list = json_array();

	for (size_t i = 0; i < senders_count(); i++) {
		const struct sender *sender = senders_at(i);
		const struct conf_provider *provider = sender_provider(sender);
		struct credential *credential = credential_find(provider->id);
		struct credential *calls = credential_find_for_calls(provider->id);
		struct sender_trouble trouble;
		const char *state = sender_state(sender, &trouble);
		struct credential_wanted wanted;
		json_t *item = json_pack("{s:s, s:s, s:s, s:o, s:o}", "id", provider->id, "kind",
		                         provider_kinds[provider->kind]->conf.name, "state", state,
		                         "credential", describe_credential(credential), "findings",
		                         find_out(credential, calls, &trouble));

		credential_wants(credential, &wanted);
		if (calls != NULL && credential_material(calls) != NULL)
			json_object_set_new(item, "call_credential", describe_credential(calls));
		if (wanted.topic != NULL)
			json_object_set_new(item, "topic", json_string(wanted.topic));
		json_array_append_new(list, item);
	}
	http_reply(request, 200, json_pack("{s:o}", "providers", list));
}

/* ---- setting and removing ---- */

/* A call that waits for Redis. */
struct setting {
	struct http_request *request;
	struct credential *credential;
	struct material *material; /* NULL: the stored one is removed */
	struct sealed_store_call call;
};

static void release_setting(void *state)
{
	struct setting *setting = state;

	sealed_store_forget(&setting->call);
	material_release(setting->material);
	free(setting);
}

/* The credential that REQUEST names; NULL: it has been answered. */
static struct credential *find_credential(struct http_request *request)
{
	struct credential *credential = credential_find(http_param(request, 0));

	if (credential == NULL) {
		http_fail(request, 404, "not_found", "no such provider is configured");
		return NULL;
	}
	if (sealed_store_usable())
		return credential;
	http_fail(request, 409, "conflict",
	          "credentials can be set only where master-key-file is configured, since they "
	          "are kept in Redis sealed with it");
	return NULL;
}

static json_t *describe(const struct setting *setting)
{
	const struct material *material = setting->material;
	json_t *findings = json_array();
	json_t *answer = json_pack("{s:s, s:s, s:s}", "provider",
	                           credential_provider(setting->credential)->id, "form",
	                           material->form->name, "fingerprint", material->fingerprint);

	if (material->expires_ms != 0)
		json_object_set_new(answer, "expires_ms",
		                    json_integer((json_int_t)material->expires_ms));
	say_all(findings, answer, setting->credential, material, true);
	json_object_set_new(answer, "findings", findings);
	return answer;
}

static void on_sealed_put(struct sealed_store_call *call, enum sealed_store_result result,
                          const char *text)
{
	struct setting *setting = container_of(call, struct setting, call);
	struct http_request *request = setting->request;

	if (result != SEALED_DONE) {
		http_fail(request, 503, "unavailable",
		          "Redis didn't take it; the credential in use may be the old or the new "
		          "one");
		return;
	}
	log_info("credential-set provider=%s form=%s", credential_provider(setting->credential)->id,
	         setting->material != NULL ? setting->material->form->name : "none");
	credential_set(setting->credential, setting->material);
	if (setting->material != NULL)
		http_reply(request, 200, describe(setting));
	else
		http_reply(request, 204, NULL);
}

static struct setting *attach(struct http_request *request, struct credential *credential,
                              struct material *material)
{
	struct setting *setting = mem_alloc(1, sizeof(*setting));

	setting->request = request;
	setting->credential = credential;
	setting->material = material;
	setting->call.done = on_sealed_put;
	http_attach(request, setting, release_setting);
	return setting;
}

static void put_material(struct http_request *request, struct credential *credential,
                         struct material *material, const struct material_source *source)
{
	struct setting *setting = attach(request, credential, material);
	char *name = credential_name(credential_provider(credential));
	char *text = material_write(material, source);

	sealed_store_put(&setting->call, name, text, 0);
	mem_free_secret(text);
	free(name);
}

/* PEM and JSON as they are, anything else in base64: the bytes, heap; NULL when it is neither. */
static char *unpack(const char *text, size_t *len)
{
	const char *start = text + strspn(text, " \t\r\n");

	if (*start != '{' && strstr(start, "-----BEGIN") == NULL)
		return base64_decode(text, len);
	*len = strlen(text);
	return mem_dup(text);
}

static void wipe(const char *text)
{
	if (text != NULL)
		mem_wipe((char *)text, strlen(text));
}

/* The request's own copies of what it brought, which it doesn't need any more. */
static void wipe_request(struct http_request *request, const char *text,
                         const struct material_source *source)
{
	size_t len;
	const char *body = http_body(request, &len);

	wipe(text);
	wipe(source->password);
	mem_wipe((char *)body, len);
}

/* Only what can be used now is worth keeping. NULL with *WHY. */
static struct material *read_valid(const struct credential *credential,
                                   const struct material_source *source, char **why)
{
	struct credential_wanted wanted;
	struct material *material;

	credential_wants(credential, &wanted);
	material = material_read(&wanted, source, why);
	if (material != NULL)
		*why = material_judge_dates(material, loop_wall_ms());
	if (*why == NULL)
		return material;
	material_release(material);
	return NULL;
}

/* Checks what SOURCE describes, whose bytes are TEXT unpacked, and keeps it if it is good. */
static void check_and_put(struct http_request *request, struct credential *credential,
                          const char *text, struct material_source *source)
{
	char *bytes = unpack(text, &source->len), *why;
	struct material *material;

	if (bytes == NULL) {
		wipe_request(request, text, source);
		http_fail(request, 400, "bad_request",
		          "credential: is neither PEM, nor JSON, nor anything in base64");
		return;
	}
	source->bytes = bytes;
	material = read_valid(credential, source, &why);
	wipe_request(request, text, source);
	if (material != NULL) {
		put_material(request, credential, material, source);
	} else {
		log_warn("credential-refused provider=%s from=api reason=\"it %s\"",
		         credential_provider(credential)->id, why);
		http_fail(request, 400, "bad_request", "credential: it %s", why);
		free(why);
	}
	mem_wipe(bytes, source->len);
	free(bytes);
}

static void serve_set(struct http_request *request)
{
	const json_t *body = http_body_json(request);
	struct json_reader reader;
	struct material_source source = { 0 };
	struct credential *credential;
	struct json_object top;
	const char *text;

	if (body == NULL)
		return;
	top = json_object_top(&reader, body);
	text = json_string_member(&top, "credential", TEXT_MAX, true);
	source.password = json_string_member(&top, "password", PASSWORD_MAX, false);
	source.key_id = json_string_member(&top, "key_id", NAME_MAX_BYTES, false);
	source.team_id = json_string_member(&top, "team_id", NAME_MAX_BYTES, false);
	json_object_end(&top);
	if (!json_reader_ok(&reader)) {
		http_fail(request, 400, "bad_request", "%s", reader.complaint);
		return;
	}
	credential = find_credential(request);
	if (credential != NULL)
		check_and_put(request, credential, text, &source);
}

static void serve_remove(struct http_request *request)
{
	struct credential *credential = find_credential(request);
	struct setting *setting;
	char *name;

	if (credential == NULL)
		return;
	setting = attach(request, credential, NULL);
	name = credential_name(credential_provider(credential));
	sealed_store_remove(&setting->call, name);
	free(name);
}

/* clang-format off */
const struct http_route credentials_routes[] = {
	{ "GET", "/v1/providers", serve_providers },
	{ "PUT", "/v1/providers/{id}/credential", serve_set },
	{ "DELETE", "/v1/providers/{id}/credential", serve_remove },
	{ NULL },
};
/* clang-format on */
