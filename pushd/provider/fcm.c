#include "pushd/provider/fcm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "pushd/credential/service_account.h"
#include "pushd/provider/payload.h"

#define DATA_MAX 4096  /* bytes of keys and values */
#define TOKEN_MAX 1024 /* opaque to us: registration tokens and installation ids */

/* clang-format off */

/* Reasons are FcmError's errorCode, else ErrorInfo's reason, else the status; three are ours: */
#define NAMES_TOKEN "INVALID_ARGUMENT-token"
#define TOO_BIG "INVALID_ARGUMENT-size"
#define PROJECT_QUOTA "QUOTA_EXCEEDED-project"
#define QUOTA_PAUSE_S 60
#define TROUBLE_PAUSE_S 10
static const struct verdict_row verdicts[] = {
	{ 404, "UNREGISTERED", VERDICT_GONE },
	{ 404, "", VERDICT_TRANSIENT, EFFECT_SPEECHLESS },
	{ 404, NULL, VERDICT_CREDENTIAL },
	{ 400, NAMES_TOKEN, VERDICT_GONE, EFFECT_TOKEN_FAULT },
	{ 400, TOO_BIG, VERDICT_TOO_LARGE },
	{ 400, NULL, VERDICT_REJECTED },
	{ 413, NULL, VERDICT_TOO_LARGE },
	{ 403, "SENDER_ID_MISMATCH", VERDICT_GONE, EFFECT_TOKEN_FAULT },
	{ 403, "", VERDICT_TRANSIENT, EFFECT_SPEECHLESS },
	{ 403, NULL, VERDICT_CREDENTIAL },
	{ 401, "THIRD_PARTY_AUTH_ERROR", VERDICT_REJECTED },
	{ 401, NULL, VERDICT_EXPIRED },
	{ 429, "QUOTA_EXCEEDED", VERDICT_THROTTLED, 0, QUOTA_PAUSE_S },
	{ 429, NULL, VERDICT_TRANSIENT, EFFECT_PAUSE_PROVIDER, QUOTA_PAUSE_S },
	{ 5, NULL, VERDICT_TRANSIENT, 0, TROUBLE_PAUSE_S },
	{ 0, NULL, VERDICT_REJECTED },
};
/* clang-format on */

/* ---- its configuration ---- */

/* What "address" says. */
enum { FCM_ADDRESS_TOKEN, FCM_ADDRESS_FID };

static const char *const addresses[] = { "token", "fid", NULL };

#define KEY(name, kind, member) name, kind, offsetof(struct fcm_conf, member)
/* clang-format off */
#define RETIRED(name, text)                                                                        \
	{                                                                                          \
		KEY(name, CONFIG_STRING, retired), .retired = text                                 \
	}

static const struct config_key keys[] = {
	{ KEY("service-account-file", CONFIG_STRING, service_account_file), NULL,
	  "FCM: the service account's key file (JSON).", .live = true },
	{ KEY("project-id", CONFIG_STRING, project_id), NULL,
	  "FCM: the project; that of the service account by default." },
	{ KEY("address", CONFIG_CHOICE, address), "token",
	  "FCM: what its devices register with, a registration token or a Firebase installation "
	  "id.", .choices = addresses },
	RETIRED("server-key", "FCM's legacy API has ended: use service-account-file"),
	RETIRED("sender-id", "FCM's legacy API has ended: use service-account-file and project-id"),
	{ NULL },
};
/* clang-format on */

static char *check_keys(const struct conf_provider *provider)
{
	const struct fcm_conf *own = conf_own(provider);

	return conf_plain_name(own->project_id)
	               ? NULL
	               : mem_dup("topic and project-id are made of letters, digits and -._:");
}

static void describe_credential(const struct conf_provider *provider,
                                struct credential_wanted *wanted)
{
	static const struct credential_form *const forms[] = { &service_account_form, NULL };
	const struct fcm_conf *own = conf_own(provider);

	*wanted = (struct credential_wanted){
		.forms = forms,
		.file_key = "service-account-file",
		.file = own->service_account_file,
		.needed = "service-account-file is needed",
		.project_id = own->project_id,
		.own = own,
	};
}

static bool find_origin(const struct conf_provider *provider, enum environment environment,
                        const char *token, char origin[PROVIDER_ORIGIN_MAX])
{
	return snprintf(origin, PROVIDER_ORIGIN_MAX, "%s",
	                provider->endpoint != NULL
	                        ? provider->endpoint
	                        : "https://fcm.googleapis.com") < PROVIDER_ORIGIN_MAX;
}

/* ---- requests ---- */

/* Case matters; no shape is promised. */
static bool accept_token(char *token)
{
	size_t len = strlen(token);

	if (len == 0 || len > TOKEN_MAX)
		return false;
	for (; *token != '\0'; token++)
		if (*token <= ' ' || *token > '~')
			return false;
	return true;
}

static size_t count_digits(int64_t number)
{
	return (size_t)snprintf(NULL, 0, "%" PRId64, number);
}

/* The bytes of keys and values, which are what Google counts. */
static size_t count_data(const struct provider_message *message, enum provider_cut cut)
{
	struct payload_item items[PAYLOAD_ITEMS_MAX];
	size_t count = payload_list(message, cut, items), len = 0;

	for (size_t i = 0; i < count; i++)
		len += strlen(items[i].key) + (items[i].text != NULL
		                                       ? strlen(items[i].text)
		                                       : count_digits(items[i].number));
	return len;
}

/* All values are strings. */
static void write_data(struct json_text *out, const struct provider_message *message,
                       enum provider_cut cut)
{
	struct payload_item items[PAYLOAD_ITEMS_MAX];
	size_t count = payload_list(message, cut, items);

	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			json_text_add(out, ",");
		json_text_string(out, items[i].key);
		json_text_add(out, ":");
		if (items[i].text != NULL) {
			json_text_string(out, items[i].text);
			continue;
		}
		json_text_add(out, "\"");
		json_text_integer(out, items[i].number);
		json_text_add(out, "\"");
	}
}

static int64_t time_to_live(const struct provider_message *message)
{
	int64_t expiry_s = message->settings->expiry_s, left_s = expiry_s;

	if (message->expires_s != 0)
		left_s = message->expires_s - message->now_s;
	if (left_s < 0)
		return 0;
	return left_s < expiry_s ? left_s : expiry_s;
}

/*
 * Data only, without "notification": the app is woken and draws by itself. A collapse key only goes
 * with what ends earlier ones: Google slows a device down that gets many with one.
 */
static void write_body(struct json_text *out, const struct provider_message *message,
                       enum provider_cut cut)
{
	const struct fcm_conf *own = message->settings->own;
	char collapse[PAYLOAD_COLLAPSE_TEXT];

	json_text_add(out, own->address == FCM_ADDRESS_FID ? "{\"message\":{\"fid\":"
	                                                   : "{\"message\":{\"token\":");
	json_text_string(out, message->token);
	json_text_add(out, message->priority == PRIORITY_LOW
	                           ? ",\"android\":{\"priority\":\"NORMAL\",\"ttl\":\""
	                           : ",\"android\":{\"priority\":\"HIGH\",\"ttl\":\"");
	json_text_integer(out, time_to_live(message));
	json_text_add(out, "s\"");
	if (message->notification->count == 0 && payload_collapse(message, collapse)) {
		json_text_add(out, ",\"collapse_key\":");
		json_text_string(out, collapse);
	}
	json_text_add(out, "},\"data\":{");
	write_data(out, message, cut);
	json_text_add(out, "}}}");
}

/* As configured, else that of the service account. */
static const char *project_of(const struct provider_settings *settings)
{
	const struct fcm_conf *own = settings->own;

	if (own->project_id != NULL || settings->material == NULL)
		return own->project_id;
	return settings->material->project_id;
}

static int build(const struct provider_message *message, struct provider_request *request)
{
	const struct provider_settings *settings = message->settings;
	struct arena *arena = message->arena;

	request->cut = message->cut;
	while (count_data(message, request->cut) > DATA_MAX)
		if (request->cut++ == CUT_ALL)
			return -1;
	payload_write(request, message, write_body);
	request->url = payload_print(arena, "%s/v1/projects/%s/messages:send", settings->endpoint,
	                             project_of(settings));
	request->headers[0] = payload_print(arena, "authorization: Bearer %s", message->bearer);
	request->headers[1] = "content-type: application/json";
	request->headers[2] = NULL;
	return 0;
}

enum blame { BLAME_NOTHING, BLAME_TOKEN, BLAME_OTHER };

/*
 * What the google.rpc.BadRequest among DETAILS complain about; another field weighs more than the
 * token.
 */
static enum blame find_blame(const json_t *details)
{
	enum blame blame = BLAME_NOTHING;
	const json_t *detail, *violation;
	size_t i, j;

	json_array_foreach (details, i, detail) {
		json_array_foreach (json_object_get(detail, "fieldViolations"), j, violation) {
			const char *field = json_string_value(json_object_get(violation, "field"));
			bool token = field != NULL && (strcmp(field, "message.token") == 0 ||
			                               strcmp(field, "message.fid") == 0);

			if (blame != BLAME_OTHER)
				blame = token ? BLAME_TOKEN : BLAME_OTHER;
		}
	}
	return blame;
}

/* The member KEY of the detail whose type ends in TYPE, or NULL. */
static const char *find_detail(const json_t *details, const char *type, const char *key)
{
	const json_t *detail;
	size_t i;

	json_array_foreach (details, i, detail) {
		const char *name = json_string_value(json_object_get(detail, "@type"));
		const char *value = json_string_value(json_object_get(detail, key));

		if (name != NULL && value != NULL && strstr(name, type) != NULL)
			return value;
	}
	return NULL;
}

/* True when INVALID_ARGUMENT means the token and not what we sent with it. */
static bool names_token(const json_t *error, const json_t *details)
{
	const char *message = json_string_value(json_object_get(error, "message"));
	enum blame blame = find_blame(details);

	if (blame != BLAME_NOTHING)
		return blame == BLAME_TOKEN;
	return message != NULL && strcasestr(message, "not a valid FCM registration token") != NULL;
}

/* True when INVALID_ARGUMENT means the size of the whole, which Google counts in its own way. */
static bool names_size(const json_t *error)
{
	const char *message = json_string_value(json_object_get(error, "message"));

	return message != NULL && strcasestr(message, "message is too big") != NULL;
}

/*
 * True when the QuotaFailure among DETAILS is about the project's rate and not about that of one
 * device.
 */
static bool names_project(const json_t *details)
{
	const json_t *detail, *violation;
	size_t i, j;

	json_array_foreach (details, i, detail) {
		json_array_foreach (json_object_get(detail, "violations"), j, violation) {
			const char *subject =
			        json_string_value(json_object_get(violation, "subject"));

			if (subject != NULL && strncmp(subject, "project", 7) == 0)
				return true;
		}
	}
	return false;
}

static const char *find_reason(const json_t *error)
{
	const json_t *details = json_object_get(error, "details");
	const char *reason = find_detail(details, ".FcmError", "errorCode");

	if (reason == NULL)
		reason = find_detail(details, ".ErrorInfo", "reason");
	if (reason == NULL)
		reason = json_string_value(json_object_get(error, "status"));
	if (reason == NULL)
		return "";
	if (strcmp(reason, "INVALID_ARGUMENT") == 0 && names_token(error, details))
		return NAMES_TOKEN;
	if (strcmp(reason, "INVALID_ARGUMENT") == 0 && names_size(error))
		return TOO_BIG;
	if (strcmp(reason, "QUOTA_EXCEEDED") == 0 && names_project(details))
		return PROJECT_QUOTA;
	return reason;
}

/* Google names what it accepts. Without a name it is somebody else's 200, or was cut short. */
static void judge_success(const char *name, struct judgement *judgement)
{
	if (name != NULL) {
		mem_copy_word(judgement->id, sizeof(judgement->id), name);
		return;
	}
	judgement->verdict = VERDICT_UNKNOWN;
	judgement->reconnect = true;
	mem_copy_word(judgement->reason, sizeof(judgement->reason), "no-name");
}

static void judge(const struct provider_answer *answer, struct judgement *judgement)
{
	json_t *body = json_loadb(answer->body, answer->body_len, 0, NULL);

	*judgement = (struct judgement){ .verdict = VERDICT_SENT, .status = answer->status };
	if (answer->status == 200) {
		judge_success(json_string_value(json_object_get(body, "name")), judgement);
	} else {
		verdict_look_up(judgement, verdicts, answer,
		                find_reason(json_object_get(body, "error")));
		/* Dead tokens and bad requests say nothing about load. */
		judgement->reset_window = answer->status == 429 || answer->status >= 500;
	}
	json_decref(body);
}

const struct provider_kind fcm_kind = {
	.conf = { "fcm", keys, sizeof(struct fcm_conf), "register-push-fcm" },
	.check = check_keys,
	.credential = describe_credential,
	.origin = find_origin,
	.protocol = PROTOCOL_H2,
	.streams_max = 100, /* more on one connection are answered by GOAWAY */
	.accept_token = accept_token,
	.build = build,
	.judge = judge,
};
