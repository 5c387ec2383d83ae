#include "pushd/provider/apns.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "pushd/credential/certificate.h"
#include "pushd/credential/signing_key.h"
#include "pushd/provider/payload.h"

#define PAYLOAD_MAX 4096
#define PAYLOAD_MAX_VOIP 5120
#define TOKEN_MAX 200
#define CALL_EXPIRY_S 30 /* a call that rings later than this is over */
#define DEVICE_PAUSE_S 60

/* clang-format off */

/*
 * Apple's answers (facts of its "Handling notification responses from APNs"); 200 is not among
 * them.
 */
static const struct verdict_row verdicts[] = {
	{ 400, "BadDeviceToken", VERDICT_SUSPECT, EFFECT_TOKEN_FAULT | EFFECT_OTHER_ENVIRONMENT },
	{ 400, "DeviceTokenNotForTopic", VERDICT_SUSPECT, EFFECT_TOKEN_FAULT },
	{ 400, "TopicDisallowed", VERDICT_SUSPECT, EFFECT_TOKEN_FAULT },
	{ 400, "IdleTimeout", VERDICT_TRANSIENT, EFFECT_RECONNECT },
	{ 400, NULL, VERDICT_REJECTED },
	{ 403, "ExpiredProviderToken", VERDICT_EXPIRED, EFFECT_RECONNECT },
	{ 403, "UnrelatedKeyIdInToken", VERDICT_EXPIRED, EFFECT_RECONNECT },
	{ 403, "", VERDICT_TRANSIENT, EFFECT_SPEECHLESS },
	{ 403, NULL, VERDICT_CREDENTIAL },
	{ 404, "", VERDICT_TRANSIENT, EFFECT_SPEECHLESS },
	{ 410, "Unregistered", VERDICT_GONE },
	{ 410, "ExpiredToken", VERDICT_GONE },
	{ 413, NULL, VERDICT_TOO_LARGE },
	{ 429, "TooManyProviderTokenUpdates", VERDICT_TRANSIENT },
	{ 429, NULL, VERDICT_THROTTLED, 0, DEVICE_PAUSE_S },
	{ 500, NULL, VERDICT_TRANSIENT },
	{ 5, NULL, VERDICT_TRANSIENT, EFFECT_RECONNECT },
	{ 0, NULL, VERDICT_REJECTED },
};
/* clang-format on */

/* ---- its configuration ---- */

/* What "environment" says. */
enum { APNS_PRODUCTION, APNS_SANDBOX };

static const char *const environments[] = { "production", "sandbox", NULL };

#define KEY(name, kind, member) name, kind, offsetof(struct apns_conf, member)
/* clang-format off */
#define RETIRED(name, text)                                                                        \
	{                                                                                          \
		KEY(name, CONFIG_STRING, retired), .retired = text                                 \
	}

static const struct config_key keys[] = {
	{ KEY("topic", CONFIG_STRING, topic), NULL, "APNs: the app's bundle id." },
	{ KEY("key-file", CONFIG_STRING, key_file), NULL, "APNs: signing key (.p8).",
	  .live = true },
	{ KEY("key-id", CONFIG_STRING, key_id), NULL, "APNs: id of the signing key.",
	  .live = true },
	{ KEY("team-id", CONFIG_STRING, team_id), NULL, "APNs: id of the developer's team.",
	  .live = true },
	{ KEY("cert-file", CONFIG_STRING, cert_file), NULL,
	  "APNs: client certificate and key (.p12, or PEM), instead of a signing key.",
	  .live = true },
	{ KEY("cert-password", CONFIG_SECRET, cert_password), NULL,
	  "APNs: what opens the cert-file.", .live = true },
	{ KEY("voip-cert-file", CONFIG_STRING, voip_cert_file), NULL,
	  "APNs: client certificate and key for calls (the topic's .voip) alone, where the "
	  "cert-file isn't for them.", .live = true },
	{ KEY("voip-cert-password", CONFIG_SECRET, voip_cert_password), NULL,
	  "APNs: what opens the voip-cert-file.", .live = true },
	{ KEY("environment", CONFIG_CHOICE, environment), "production",
	  "APNs: which of Apple's environments it sends to.", .choices = environments },
	{ KEY("try-other-environment", CONFIG_BOOLEAN, try_other_environment), "no",
	  "APNs: a token that is bad in one environment is tried in the other; what works is "
	  "kept." },
	{ KEY("other-endpoint", CONFIG_STRING, other_endpoint), NULL,
	  "https://HOST[:PORT] of the other environment; Apple's by default." },
	RETIRED("apns-topic", "use topic"),
	RETIRED("pushkit-cert-file", "use voip-cert-file, unless cert-file is for the topic's "
	        ".voip, too"),
	RETIRED("pushkit-cert-password", "use voip-cert-password"),
	RETIRED("fallbackToSandbox", "use try-other-environment"),
	{ NULL },
};
/* clang-format on */

static char *check_keys(const struct conf_provider *provider)
{
	const struct apns_conf *own = conf_own(provider);

	if (!conf_valid_endpoint(own->other_endpoint))
		return mem_printf("other-endpoint must be https://HOST[:PORT], not %s",
		                  own->other_endpoint);
	/* A test server for one of the environments isn't one for the other. */
	if (own->try_other_environment &&
	    (provider->endpoint == NULL) != (own->other_endpoint == NULL))
		return mem_dup("try-other-environment needs other-endpoint where endpoint is set");
	/* Certificates name their topic, and what is set later may be one. */
	if (own->topic == NULL && own->key_file != NULL)
		return mem_dup("topic is needed");
	if (!conf_plain_name(own->topic))
		return mem_dup("topic and project-id are made of letters, digits and -._:");
	if (own->cert_file != NULL && own->key_file != NULL)
		return mem_dup("either cert-file or key-file, not both");
	if (own->voip_cert_file != NULL && own->key_file != NULL)
		return mem_dup("either voip-cert-file or key-file, which is for calls, too");
	if (own->voip_cert_file != NULL && own->topic == NULL)
		return mem_dup("voip-cert-file needs topic");
	if (own->key_file != NULL && (own->key_id == NULL || own->team_id == NULL))
		return mem_dup("key-file, key-id and team-id are needed");
	return NULL;
}

static void describe_credential(const struct conf_provider *provider,
                                struct credential_wanted *wanted)
{
	static const struct credential_form *const forms[] = { &certificate_form, &signing_key_form,
		                                               NULL };
	const struct apns_conf *own = conf_own(provider);

	*wanted = (struct credential_wanted){
		.forms = forms,
		.no_form = "is neither a .p12 file, nor PEM with a certificate and its key, nor a "
		           ".p8 key",
		.file_key = own->cert_file != NULL ? "cert-file" : "key-file",
		.file = own->cert_file != NULL ? own->cert_file : own->key_file,
		.needed = "cert-file is needed, or key-file, key-id and team-id are needed",
		.password = own->cert_password,
		.key_id = own->key_id,
		.team_id = own->team_id,
		.topic = own->topic,
		.sandbox = own->environment == APNS_SANDBOX,
		.calls_apart = own->voip_cert_file != NULL,
		.own = own,
	};
}

static void describe_call_credential(const struct conf_provider *provider,
                                     struct credential_wanted *wanted)
{
	static const struct credential_form *const forms[] = { &certificate_form, NULL };
	const struct apns_conf *own = conf_own(provider);

	*wanted = (struct credential_wanted){
		.forms = forms,
		.no_form = "is neither a .p12 file, nor PEM with a certificate and its key",
		.file_key = "voip-cert-file",
		.file = own->voip_cert_file,
		.needed = "voip-cert-file is needed",
		.password = own->voip_cert_password,
		.topic = own->topic,
		.sandbox = own->environment == APNS_SANDBOX,
		.for_calls = true,
		.own = own,
	};
}

static void describe_environments(const struct conf_provider *provider,
                                  struct provider_environments *described)
{
	const struct apns_conf *own = conf_own(provider);
	bool sandbox = own->environment == APNS_SANDBOX;

	described->own = sandbox ? ENVIRONMENT_SANDBOX : ENVIRONMENT_PRODUCTION;
	described->other = ENVIRONMENT_UNKNOWN;
	if (own->try_other_environment)
		described->other = sandbox ? ENVIRONMENT_PRODUCTION : ENVIRONMENT_SANDBOX;
}

static bool find_origin(const struct conf_provider *provider, enum environment environment,
                        const char *token, char origin[PROVIDER_ORIGIN_MAX])
{
	static const char *const apples[] = {
		[ENVIRONMENT_PRODUCTION] = "https://api.push.apple.com",
		[ENVIRONMENT_SANDBOX] = "https://api.sandbox.push.apple.com",
	};
	const struct apns_conf *own = conf_own(provider);
	struct provider_environments sends;
	const char *configured;

	describe_environments(provider, &sends);
	configured = environment == sends.own ? provider->endpoint : own->other_endpoint;
	return snprintf(origin, PROVIDER_ORIGIN_MAX, "%s",
	                configured != NULL ? configured : apples[environment]) <
	       PROVIDER_ORIGIN_MAX;
}

/* ---- requests ---- */

/* What a push type needs beside its payload. */
struct push_type {
	const char *type;     /* header apns-push-type */
	const char *priority; /* header apns-priority */
	const char *suffix;   /* of the topic */
	size_t max;           /* bytes of payload */
};

static const struct push_type push_types[PRIORITY_COUNT] = {
	[PRIORITY_VOIP] = { "apns-push-type: voip", "apns-priority: 10", CERTIFICATE_CALLS,
	                    PAYLOAD_MAX_VOIP },
	[PRIORITY_HIGH] = { "apns-push-type: alert", "apns-priority: 10", "", PAYLOAD_MAX },
	[PRIORITY_LOW] = { "apns-push-type: background", "apns-priority: 5", "", PAYLOAD_MAX },
};

/* Lower-case hex of an even number of digits; Apple says never to count on 64. */
static bool accept_token(char *token)
{
	size_t len = strlen(token);

	if (len == 0 || len > TOKEN_MAX || len % 2 != 0)
		return false;
	for (; *token != '\0'; token++) {
		if (!isxdigit((unsigned char)*token))
			return false;
		*token = (char)tolower((unsigned char)*token);
	}
	return true;
}

/* The service extension that fills the alert in needs mutable-content and an alert. */
static const char *aps_of(const struct provider_message *message, enum provider_cut cut)
{
	if (message->priority == PRIORITY_VOIP)
		return "{}";
	if (message->priority == PRIORITY_LOW)
		return "{\"content-available\":1}";
	if (message->notification->payload != NULL && cut == CUT_NOTHING)
		return "{\"alert\":{\"body\":\"New message!\"},\"mutable-content\":1}";
	return "{\"alert\":{\"title\":\"New message!\",\"action-loc-key\":\"Show\"},"
	       "\"mutable-content\":1,\"content-available\":1,\"sound\":\"default\"}";
}

static void write_payload(struct json_text *out, const struct provider_message *message,
                          enum provider_cut cut)
{
	struct payload_item items[PAYLOAD_ITEMS_MAX];
	size_t count = payload_list(message, cut, items);

	json_text_add(out, "{\"aps\":");
	json_text_add(out, aps_of(message, cut));
	for (size_t i = 0; i < count; i++) {
		json_text_add(out, ",");
		json_text_string(out, items[i].key);
		json_text_add(out, ":");
		if (items[i].text != NULL)
			json_text_string(out, items[i].text);
		else
			json_text_integer(out, items[i].number);
	}
	json_text_add(out, "}");
}

static int add_body(const struct provider_message *message, struct provider_request *request)
{
	size_t max = push_types[message->priority].max;
	/* A call that tells nothing makes the app ring for "Unknown": whole or not at all. */
	enum provider_cut most = message->priority == PRIORITY_VOIP ? CUT_NOTHING : CUT_ALL;

	for (request->cut = message->cut; request->cut <= most; request->cut++) {
		payload_write(request, message, write_payload);
		if (request->body_len <= max)
			return 0;
	}
	return -1;
}

/* In seconds since 1970; 0: tried once and not kept. */
static int64_t expiration(const struct provider_message *message)
{
	int64_t expires_s = message->expires_s;

	if (message->settings->expiry_s == 0)
		return 0;
	if (expires_s == 0)
		expires_s = message->now_s + message->settings->expiry_s;
	if (message->priority == PRIORITY_VOIP && expires_s > message->now_s + CALL_EXPIRY_S)
		expires_s = message->now_s + CALL_EXPIRY_S;
	return expires_s;
}

/* As configured, else that of the certificate. */
static const char *topic_of(const struct provider_settings *settings)
{
	const struct apns_conf *own = settings->own;

	if (own->topic != NULL || settings->material == NULL)
		return own->topic;
	return settings->material->topic;
}

/* Apple refuses a call's topic that the certificate isn't for. */
static bool allowed(const struct provider_message *message, const char *topic)
{
	const struct material *material = message->settings->material;

	return message->priority != PRIORITY_VOIP || material == NULL ||
	       certificate_allows_calls(material, topic);
}

static int build(const struct provider_message *message, struct provider_request *request)
{
	const struct push_type *type = &push_types[message->priority];
	const struct provider_settings *settings = message->settings;
	const char *topic = topic_of(settings);
	struct arena *arena = message->arena;
	char collapse[PAYLOAD_COLLAPSE_TEXT];
	size_t n = 0;

	if (!allowed(message, topic) || add_body(message, request) != 0)
		return -1;
	request->url = payload_print(arena, "%s/3/device/%s", settings->endpoint, message->token);
	if (message->bearer != NULL)
		request->headers[n++] =
		        payload_print(arena, "authorization: bearer %s", message->bearer);
	request->headers[n++] = payload_print(arena, "apns-topic: %s%s", topic, type->suffix);
	request->headers[n++] = type->type;
	request->headers[n++] = type->priority;
	request->headers[n++] =
	        payload_print(arena, "apns-expiration: %lld", (long long)expiration(message));
	request->headers[n++] = payload_print(arena, "apns-id: %s", message->id);
	if (payload_collapse(message, collapse))
		request->headers[n++] = payload_print(arena, "apns-collapse-id: %s", collapse);
	request->headers[n] = NULL;
	return 0;
}

static void judge(const struct provider_answer *answer, struct judgement *judgement)
{
	json_t *body;
	const char *reason;

	*judgement = (struct judgement){ .verdict = VERDICT_SENT, .status = answer->status };
	if (answer->status == 200) {
		mem_copy_word(judgement->id, sizeof(judgement->id), answer->wanted[0]);
		return;
	}
	body = json_loadb(answer->body, answer->body_len, 0, NULL);
	reason = json_string_value(json_object_get(body, "reason"));
	verdict_look_up(judgement, verdicts, answer, reason != NULL ? reason : "");
	judgement->timestamp_ms = json_integer_value(json_object_get(body, "timestamp"));
	/* A rejection cuts the streams that Apple allows to one until a push succeeds. */
	judgement->reset_window = true;
	json_decref(body);
}

const struct provider_kind apns_kind = {
	.conf = { "apns", keys, sizeof(struct apns_conf), "register-push-apns" },
	.check = check_keys,
	.credential = describe_credential,
	.call_credential = describe_call_credential,
	.environments = describe_environments,
	.origin = find_origin,
	.protocol = PROTOCOL_H2,
	.streams_max = 1000,
	.wanted = { "apns-id" },
	.accept_token = accept_token,
	.build = build,
	.judge = judge,
};
