#include "tests/fakes/apns.h"

#include <ctype.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/fakes/client.h"

#define DEVICES "/3/device"
#define TOKEN_DIGITS_MAX 200
#define COLLAPSE_ID_MAX 64
#define PAYLOAD_MAX 4096
#define VOIP_PAYLOAD_MAX 5120

/* The headers that the checks below read. */
enum field {
	FIELD_AUTHORIZATION,
	FIELD_TOPIC,
	FIELD_PUSH_TYPE,
	FIELD_ID,
	FIELD_EXPIRATION,
	FIELD_PRIORITY,
	FIELD_COLLAPSE_ID,
	FIELDS
};

static const char *const field_names[FIELDS] = {
	[FIELD_AUTHORIZATION] = "authorization",  [FIELD_TOPIC] = "apns-topic",
	[FIELD_PUSH_TYPE] = "apns-push-type",     [FIELD_ID] = "apns-id",
	[FIELD_EXPIRATION] = "apns-expiration",   [FIELD_PRIORITY] = "apns-priority",
	[FIELD_COLLAPSE_ID] = "apns-collapse-id",
};

enum priority { PRIORITY_10 = 1, PRIORITY_5 = 2, PRIORITY_1 = 4, PRIORITY_ANY = 7 };

struct push_type {
	const char *name;
	const char *suffix; /* of the topic */
	unsigned priorities;
	size_t payload_max;
	bool (*fits)(const json_t *aps); /* is the payload of this type? NULL: anything is */
};

/* One request under judgement. */
struct look {
	struct apns *apns;
	const struct request *request;
	int64_t now_ms;
	const char *fields[FIELDS]; /* NULL: absent */
	bool duplicate;
	const struct push_type *type;
};

static bool has(const json_t *aps, const char *key)
{
	return json_object_get(aps, key) != NULL;
}

static bool is_shown(const json_t *aps)
{
	return has(aps, "alert") || has(aps, "badge") || has(aps, "sound");
}

static bool is_silent(const json_t *aps)
{
	const json_t *available = json_object_get(aps, "content-available");

	return json_is_integer(available) && json_integer_value(available) == 1 && !is_shown(aps);
}

static bool is_activity(const json_t *aps)
{
	return has(aps, "timestamp") && has(aps, "event") && has(aps, "content-state");
}

/* clang-format off */
static const struct push_type push_types[] = {
	{ "alert",        "",                        PRIORITY_ANY, PAYLOAD_MAX,      is_shown },
	{ "background",   "",                        PRIORITY_5,   PAYLOAD_MAX,      is_silent },
	{ "voip",         ".voip",                   PRIORITY_10,  VOIP_PAYLOAD_MAX, NULL },
	{ "location",     ".location-query",         PRIORITY_ANY, PAYLOAD_MAX,      NULL },
	{ "complication", ".complication",           PRIORITY_ANY, PAYLOAD_MAX,      NULL },
	{ "fileprovider", ".pushkit.fileprovider",   PRIORITY_ANY, PAYLOAD_MAX,      NULL },
	{ "mdm",          "",                        PRIORITY_ANY, PAYLOAD_MAX,      NULL },
	{ "liveactivity", ".push-type.liveactivity", PRIORITY_ANY, PAYLOAD_MAX,      is_activity },
	{ "pushtotalk",   ".voip-ptt",               PRIORITY_10,  PAYLOAD_MAX,      NULL },
	{ "widgets",      ".push-type.widgets",      PRIORITY_ANY, PAYLOAD_MAX,      NULL },
	{ "controls",     ".push-type.controls",     PRIORITY_ANY, PAYLOAD_MAX,      NULL },
};

static const struct { unsigned status; const char *reason; } reasons[] = {
	{ 400, "BadDeviceToken" },           { 400, "BadCollapseId" },
	{ 400, "BadExpirationDate" },        { 400, "BadMessageId" },
	{ 400, "BadPriority" },              { 400, "BadTopic" },
	{ 400, "DeviceTokenNotForTopic" },   { 400, "DuplicateHeaders" },
	{ 400, "IdleTimeout" },              { 400, "InvalidPushType" },
	{ 400, "MissingDeviceToken" },       { 400, "MissingTopic" },
	{ 400, "PayloadEmpty" },             { 400, "TopicDisallowed" },
	{ 403, "InvalidProviderToken" },     { 403, "BadCertificate" },
	{ 403, "BadCertificateEnvironment" }, { 403, "BadEnvironmentKeyIdInToken" },
	{ 403, "ExpiredProviderToken" },     { 403, "Forbidden" },
	{ 403, "MissingProviderToken" },     { 403, "UnrelatedKeyIdInToken" },
	{ 404, "BadPath" },                  { 405, "MethodNotAllowed" },
	{ 410, "Unregistered" },             { 410, "ExpiredToken" },
	{ 413, "PayloadTooLarge" },          { 429, "TooManyRequests" },
	{ 429, "TooManyProviderTokenUpdates" }, { 500, "InternalServerError" },
	{ 503, "ServiceUnavailable" },       { 503, "Shutdown" },
};
/* clang-format on */

static const char *check_path(struct look *look)
{
	const char *path = look->request->path;
	size_t len = strlen(DEVICES);

	if (strncmp(path, DEVICES, len) != 0 || (path[len] != '/' && path[len] != '\0'))
		return "BadPath";
	if (strcmp(look->request->method, "POST") != 0)
		return "MethodNotAllowed";
	return path[len] == '\0' || path[len + 1] == '\0' ? "MissingDeviceToken" : NULL;
}

static const char *check_duplicates(struct look *look)
{
	return look->duplicate ? "DuplicateHeaders" : NULL;
}

/* In place of a provider token, which must not come beside it. */
static const char *check_certificate(struct look *look)
{
	const struct client *client = look->request->client;

	if (!client->trusted)
		return "BadCertificate";
	if (!client_fits(client, look->request->environment))
		return "BadCertificateEnvironment";
	return look->fields[FIELD_AUTHORIZATION] != NULL ? "InvalidProviderToken" : NULL;
}

static const char *check_authorization(struct look *look)
{
	if (look->request->client->present)
		return check_certificate(look);
	return provider_token_check(&look->apns->tokens, look->request->binding,
	                            look->fields[FIELD_AUTHORIZATION], look->now_ms / 1000);
}

/* Canonical: 32 lower-case hexadecimal digits in groups of 8-4-4-4-12. */
static const char *check_id(struct look *look)
{
	static const char form[] = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";
	const char *id = look->fields[FIELD_ID];
	size_t i;

	if (id == NULL)
		return NULL;
	for (i = 0; form[i] != '\0'; i++) {
		bool good = form[i] == '-' ? id[i] == '-'
		                           : isxdigit((unsigned char)id[i]) &&
		                                     !isupper((unsigned char)id[i]);
		if (!good)
			return "BadMessageId";
	}
	return id[i] == '\0' ? NULL : "BadMessageId";
}

static const char *check_push_type(struct look *look)
{
	const char *name = look->fields[FIELD_PUSH_TYPE];

	if (name == NULL)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(push_types); i++) {
		if (strcmp(push_types[i].name, name) == 0)
			look->type = &push_types[i];
	}
	return look->type == NULL ? "InvalidPushType" : NULL;
}

static bool is_topic(const char *topic, const char *text, size_t len)
{
	return strlen(topic) == len && memcmp(topic, text, len) == 0;
}

/* True if the sender may push to the topic in the first LEN bytes of TEXT. */
static bool topic_served(const struct look *look, const char *text, size_t len)
{
	const char *const *topics = look->apns->topics;

	/* A certificate for an app is for its calls, too; one for T.voip is for them alone. */
	if (look->request->client->present)
		return is_topic(look->request->client->topic, text, len) ||
		       strcmp(look->request->client->topic, text) == 0;
	if (topics == NULL || topics[0] == NULL)
		return true;
	for (size_t i = 0; topics[i] != NULL; i++) {
		if (is_topic(topics[i], text, len))
			return true;
	}
	return false;
}

/* TOPIC without the suffix that pushes of TYPE need, as a length; 0 when it hasn't that suffix. */
static size_t bare_topic(const char *topic, const struct push_type *type)
{
	size_t len = strlen(topic), suffix_len = strlen(type->suffix);

	if (len <= suffix_len || strcmp(topic + len - suffix_len, type->suffix) != 0)
		return 0;
	return len - suffix_len;
}

static const char *check_topic(struct look *look)
{
	const char *topic = look->fields[FIELD_TOPIC];
	size_t bare;

	if (topic == NULL && look->request->client->present)
		topic = look->request->client->topic;
	if (topic == NULL || topic[0] == '\0')
		return "MissingTopic";
	if (look->type != NULL) {
		bare = bare_topic(topic, look->type);
		if (bare == 0)
			return "BadTopic";
		return topic_served(look, topic, bare) ? NULL : "TopicDisallowed";
	}
	for (size_t i = 0; i < ARRAY_LEN(push_types); i++) {
		bare = bare_topic(topic, &push_types[i]);
		if (bare != 0 && topic_served(look, topic, bare))
			return NULL;
	}
	return "TopicDisallowed";
}

/* An absent priority means 10, which a background push must not have. */
static const char *check_priority(struct look *look)
{
	const char *text = look->fields[FIELD_PRIORITY];
	unsigned allowed = look->type == NULL ? PRIORITY_ANY : look->type->priorities;
	unsigned priority = 0;

	if (text == NULL || strcmp(text, "10") == 0)
		priority = PRIORITY_10;
	else if (strcmp(text, "5") == 0)
		priority = PRIORITY_5;
	else if (strcmp(text, "1") == 0)
		priority = PRIORITY_1;
	return (priority & allowed) != 0 ? NULL : "BadPriority";
}

/* Seconds since the epoch in 32 bits: a sender that means milliseconds is caught. */
static const char *check_expiration(struct look *look)
{
	const char *text = look->fields[FIELD_EXPIRATION];
	size_t len;

	if (text == NULL)
		return NULL;
	len = strspn(text, "0123456789");
	if (len == 0 || len > 10 || text[len] != '\0' || strtoll(text, NULL, 10) > UINT32_MAX)
		return "BadExpirationDate";
	return NULL;
}

static const char *check_collapse_id(struct look *look)
{
	const char *text = look->fields[FIELD_COLLAPSE_ID];

	if (text == NULL)
		return NULL;
	return text[0] == '\0' || strlen(text) > COLLAPSE_ID_MAX ? "BadCollapseId" : NULL;
}

static const char *check_device_token(struct look *look)
{
	const char *token = look->request->token;
	size_t len = strlen(token);

	if (len % 2 != 0 || len > TOKEN_DIGITS_MAX ||
	    strspn(token, "0123456789abcdefABCDEF") != len)
		return "BadDeviceToken";
	if (!environments_fit(look->apns->environments, token, look->request->environment))
		return "BadDeviceToken";
	return NULL;
}

static const char *check_payload(struct look *look)
{
	const struct request *request = look->request;
	size_t most = look->type == NULL ? PAYLOAD_MAX : look->type->payload_max;
	const json_t *aps = json_object_get(request->json, "aps");

	if (request->body_total == 0)
		return "PayloadEmpty";
	if (request->body_total > most)
		return "PayloadTooLarge";
	if (!json_is_object(request->json) || (aps != NULL && !json_is_object(aps)))
		return "PayloadEmpty";
	if (look->type != NULL && look->type->fits != NULL && !look->type->fits(aps))
		return "InvalidPushType";
	return NULL;
}

/* In this order; the first reason is the answer. */
static const char *(*const checks[])(struct look *look) = {
	check_path,        check_duplicates,   check_authorization, check_id,
	check_push_type,   check_topic,        check_priority,      check_expiration,
	check_collapse_id, check_device_token, check_payload,
};

/* Notes FIELD's value if it is one that is read. */
static void note_field(struct look *look, const struct header *header)
{
	for (size_t i = 0; i < FIELDS; i++) {
		if (strcmp(field_names[i], header->name) != 0)
			continue;
		look->duplicate |= look->fields[i] != NULL;
		look->fields[i] = header->value;
		return;
	}
}

static void find_fields(struct look *look)
{
	const struct buf *head = &look->request->head;
	struct header header;
	size_t cursor = 0;

	while (headers_next(buf_data(head), buf_len(head), &cursor, &header)) {
		if (header.name[0] == 'a') /* as all of them do */
			note_field(look, &header);
	}
}

void apns_answer(struct apns *apns, const struct request *request, int64_t now_ms,
                 struct answer *answer)
{
	struct look look = { .apns = apns, .request = request, .now_ms = now_ms };
	const char *reason = NULL;

	find_fields(&look);
	for (size_t i = 0; i < ARRAY_LEN(checks) && reason == NULL; i++)
		reason = checks[i](&look);
	if (reason != NULL)
		apns_refuse(answer, 0, reason, now_ms);
	else
		answer->status = 200;
}

static unsigned status_of(const char *reason)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (strcmp(reasons[i].reason, reason) == 0)
			return reasons[i].status;
	}
	return 400;
}

static const char *reason_of(unsigned status)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "InternalServerError";
}

void apns_refuse(struct answer *answer, unsigned status, const char *reason, int64_t timestamp_ms)
{
	answer->status = status != 0 ? status : status_of(reason);
	if (answer->status == 200)
		return;
	if (reason == NULL)
		reason = reason_of(status);
	snprintf(answer->reason, sizeof(answer->reason), "%s", reason);
	buf_printf(&answer->body, "{\"reason\":\"%s\"", answer->reason);
	if (answer->status == 410)
		buf_printf(&answer->body, ",\"timestamp\":%lld", (long long)timestamp_ms);
	buf_text(&answer->body, "}");
	answer->type = "application/json";
}

static void make_id(char *id, size_t size)
{
	unsigned char r[16];

	if (RAND_bytes(r, sizeof(r)) != 1)
		abort();
	snprintf(id, size, "%02x%02x%02x%02x-%02x%02x-4%01x%02x-8%01x%02x-%02x%02x%02x%02x%02x%02x",
	         r[0], r[1], r[2], r[3], r[4], r[5], r[6] & 15, r[7], r[8] & 15, r[9], r[10], r[11],
	         r[12], r[13], r[14], r[15]);
}

void apns_identify(struct answer *answer, const struct request *request)
{
	const char *id = headers_find(&request->head, field_names[FIELD_ID]);

	if (id != NULL && strcmp(answer->reason, "BadMessageId") != 0)
		snprintf(answer->id, sizeof(answer->id), "%s", id);
	else
		make_id(answer->id, sizeof(answer->id));
}

void apns_release(struct apns *apns)
{
	provider_tokens_release(&apns->tokens);
}
