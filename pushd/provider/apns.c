#include "pushd/provider/apns.h"

#include <ctype.h>
#include <string.h>

#include "common/base/mem.h"
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
	{ 403, NULL, VERDICT_CREDENTIAL },
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

/* What a push type needs beside its payload. */
struct push_type {
	const char *type;     /* header apns-push-type */
	const char *priority; /* header apns-priority */
	const char *suffix;   /* of the topic */
	size_t max;           /* bytes of payload */
};

static const struct push_type push_types[PRIORITY_COUNT] = {
	[PRIORITY_VOIP] = { "apns-push-type: voip", "apns-priority: 10", ".voip",
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
	if (message->notification->payload != NULL && cut == CUT_NOTHING && !message->terse)
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

static int build(const struct provider_message *message, struct provider_request *request)
{
	const struct push_type *type = &push_types[message->priority];
	const struct provider_settings *settings = message->settings;
	struct arena *arena = message->arena;
	char collapse[PAYLOAD_COLLAPSE_TEXT];
	size_t n = 0;

	if (add_body(message, request) != 0)
		return -1;
	request->url = payload_print(arena, "%s/3/device/%s", settings->endpoint, message->token);
	if (message->bearer != NULL)
		request->headers[n++] =
		        payload_print(arena, "authorization: bearer %s", message->bearer);
	request->headers[n++] =
	        payload_print(arena, "apns-topic: %s%s", settings->topic, type->suffix);
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
	.name = "apns",
	.scheme = SCHEME_SIGNED,
	.endpoints = { [ENVIRONMENT_PRODUCTION] = "https://api.push.apple.com",
	               [ENVIRONMENT_SANDBOX] = "https://api.sandbox.push.apple.com" },
	.needs_topic = true,
	.streams_max = 1000,
	.accept_token = accept_token,
	.build = build,
	.judge = judge,
};
