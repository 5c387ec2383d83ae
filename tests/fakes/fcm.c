#include "tests/fakes/fcm.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/fakes/fcm_error.h"

#define TOKEN_MAX 4096
#define PAYLOAD_MAX 4096       /* keys and values of data and notification */
#define TOPIC_PAYLOAD_MAX 2048 /* the same to a topic */
#define TTL_MAX_S 2419200      /* 28 days */

/* One request under judgement: the first complaint is kept. */
struct look {
	struct fcm *fcm;
	const struct request *request;
	const json_t *message;
	const json_t *android;
	struct fcm_error error; /* code NULL: none yet */
	char text[200];         /* where error.message or error.field may be built */
};

static bool complain(struct look *look, struct fcm_error error)
{
	look->error = error;
	return false;
}

/* FCM itself refuses the message. */
static bool refuse_message(struct look *look, const char *field, const char *text)
{
	return complain(
	        look,
	        (struct fcm_error){ .code = "INVALID_ARGUMENT", .message = text, .field = field });
}

/* The JSON layer before FCM refuses a value: it knows FIELDs, not messages. */
static bool refuse_value(struct look *look, const char *field, const char *text)
{
	return complain(look, (struct fcm_error){ .code = "INVALID_ARGUMENT",
	                                          .message = text,
	                                          .field = field,
	                                          .no_fcm_error = true });
}

/*
 * KEY in snake_case: Google takes camelCase for the same. TEXT holds SIZE bytes; what is longer is
 * cut.
 */
static const char *to_snake(const char *key, char *text, size_t size)
{
	size_t len = 0;

	for (; *key != '\0' && len + 2 < size; key++) {
		if (isupper((unsigned char)*key))
			text[len++] = '_';
		text[len++] = (char)tolower((unsigned char)*key);
	}
	text[len] = '\0';
	return text;
}

/* True if KEY is in NAMES, which are in snake_case and ended by NULL. */
static bool name_known(const char *const *names, const char *key)
{
	char snake[64];

	to_snake(key, snake, sizeof(snake));
	for (; *names != NULL; names++) {
		if (strcmp(*names, snake) == 0)
			return true;
	}
	return false;
}

/* The member NAME of OBJECT, in either spelling. */
static const json_t *member(const json_t *object, const char *name)
{
	const char *const names[] = { name, NULL };
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)object, key, value) {
		if (name_known(names, key))
			return value;
	}
	return NULL;
}

/* Builds a complaint about a sender's KEY between two texts; the key is cut and plain. */
static const char *say_key(struct look *look, const char *before, const char *key,
                           const char *after)
{
	char plain[61];
	size_t len = 0;

	for (; key[len] != '\0' && len < sizeof(plain) - 1; len++)
		plain[len] = (char)(isprint((unsigned char)key[len]) ? key[len] : '?');
	plain[len] = '\0';
	snprintf(look->text, sizeof(look->text), "%s%s%s", before, plain, after);
	return look->text;
}

static bool names_known(struct look *look, const json_t *object, const char *const *names,
                        const char *where)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)object, key, value) {
		if (name_known(names, key))
			continue;
		say_key(look, "Invalid JSON payload received. Unknown name \"", key,
		        "\": Cannot find field.");
		return refuse_value(look, where, look->text);
	}
	return true;
}

static bool check_body(struct look *look)
{
	static const char *const top[] = { "message", "validate_only", NULL };
	const json_t *body = look->request->json;

	if (!json_is_object(body))
		return refuse_value(look, NULL, "Invalid JSON payload received.");
	look->message = json_object_get(body, "message");
	if (!json_is_object(look->message))
		return refuse_value(look, "message", "Invalid value at 'message'");
	look->android = json_object_get(look->message, "android");
	return names_known(look, body, top, NULL);
}

static bool check_names(struct look *look)
{
	static const char *const in_message[] = { "name",    "data", "notification", "android",
		                                  "webpush", "apns", "token",        "fcm_options",
		                                  "topic",   "fid",  "condition",    NULL };
	static const char *const in_android[] = { "collapse_key",
		                                  "priority",
		                                  "ttl",
		                                  "restricted_package_name",
		                                  "data",
		                                  "notification",
		                                  "fcm_options",
		                                  "direct_boot_ok",
		                                  "bandwidth_constrained_ok",
		                                  "restricted_satellite_ok",
		                                  NULL };

	if (!names_known(look, look->message, in_message, "message"))
		return false;
	if (look->android != NULL && !json_is_object(look->android))
		return refuse_value(look, "message.android", "Invalid value at 'message.android'");
	return names_known(look, look->android, in_android, "message.android");
}

static bool check_target(struct look *look)
{
	static const char *const targets[] = { "token", "fid", "topic", "condition" };
	unsigned count = 0;

	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		const json_t *value = json_object_get(look->message, targets[i]);

		if (value == NULL)
			continue;
		if (!json_is_string(value))
			return refuse_value(look, "message", "Invalid value (TYPE_STRING)");
		count += json_string_length(value) > 0;
	}
	if (count == 0)
		return refuse_message(look, NULL, "Recipient of the message is not set.");
	if (count > 1)
		return refuse_value(look, "message", "oneof field 'target' is already set.");
	return true;
}

static bool check_token(struct look *look)
{
	const char *token = look->request->token;

	if (token == NULL)
		return true;
	if (strlen(token) > TOKEN_MAX || strpbrk(token, " \t\r\n") != NULL)
		return refuse_message(look, "message.token",
		                      "The registration token is not a valid FCM registration "
		                      "token");
	return true;
}

static bool key_reserved(const char *key)
{
	return strcmp(key, "from") == 0 || strcmp(key, "message_type") == 0 ||
	       strncmp(key, "google.", 7) == 0 || strncmp(key, "gcm.", 4) == 0;
}

/* All strings, no reserved keys; adds their bytes to *SIZE. */
static bool check_strings(struct look *look, const json_t *data, const char *where, size_t *size)
{
	const char *key;
	json_t *value;

	if (data != NULL && !json_is_object(data))
		return refuse_value(look, where, "Invalid value (Map)");
	json_object_foreach ((json_t *)data, key, value) {
		if (!json_is_string(value)) {
			snprintf(look->text, sizeof(look->text),
			         "Invalid value at '%s' (TYPE_STRING)", where);
			return refuse_value(look, where, look->text);
		}
		if (key_reserved(key)) {
			say_key(look, "Invalid data payload key: ", key, "");
			return refuse_message(look, where, look->text);
		}
		*size += strlen(key) + json_string_length(value);
	}
	return true;
}

static bool check_data(struct look *look)
{
	const json_t *notification = json_object_get(look->message, "notification");
	bool to_topic = json_object_get(look->message, "topic") != NULL;
	size_t size = 0;

	if (!check_strings(look, json_object_get(look->message, "data"), "message.data", &size) ||
	    !check_strings(look, json_object_get(look->android, "data"), "message.android.data",
	                   &size) ||
	    !check_strings(look, notification, "message.notification", &size))
		return false;
	if (size > (to_topic ? TOPIC_PAYLOAD_MAX : PAYLOAD_MAX))
		return refuse_message(look, NULL, "Message is too big");
	return true;
}

/* "3.5s": seconds with at most nine decimals (google.protobuf.Duration), at most 28 days. */
static bool ttl_good(const char *text)
{
	size_t whole = strspn(text, "0123456789"), decimals = 0;
	const char *end = text + whole;

	if (*end == '.') {
		decimals = strspn(end + 1, "0123456789");
		end += 1 + decimals;
		if (decimals == 0 || decimals > 9)
			return false;
	}
	return whole > 0 && whole <= 9 && strcmp(end, "s") == 0 && strtod(text, NULL) <= TTL_MAX_S;
}

static bool check_android(struct look *look)
{
	const json_t *priority = json_object_get(look->android, "priority");
	const json_t *ttl = json_object_get(look->android, "ttl");
	const json_t *collapse = member(look->android, "collapse_key");
	const char *text = json_string_value(priority);

	if (priority != NULL &&
	    (text == NULL || (strcasecmp(text, "HIGH") != 0 && strcasecmp(text, "NORMAL") != 0)))
		return refuse_value(look, "message.android.priority",
		                    "Invalid value at 'message.android.priority'");
	if (ttl != NULL && (!json_is_string(ttl) || !ttl_good(json_string_value(ttl))))
		return refuse_value(look, "message.android.ttl",
		                    "Invalid value at 'message.android.ttl' "
		                    "(type.googleapis.com/google.protobuf.Duration)");
	if (collapse != NULL && !json_is_string(collapse))
		return refuse_value(look, "message.android.collapse_key",
		                    "Invalid value at 'message.android.collapse_key'");
	return true;
}

/* True if the path is this project's; without an error of its own the path is nobody's. */
static bool check_path(struct look *look)
{
	static const char before[] = "/v1/projects/", after[] = "/messages:send";
	const char *path = look->request->path, *project, *end;

	if (strcmp(look->request->method, "POST") != 0 ||
	    strncmp(path, before, strlen(before)) != 0)
		return false;
	project = path + strlen(before);
	end = strchr(project, '/');
	if (end == NULL || strcmp(end, after) != 0)
		return false;
	if (strlen(look->fcm->project) == (size_t)(end - project) &&
	    strncmp(look->fcm->project, project, (size_t)(end - project)) == 0)
		return true;
	return complain(look, (struct fcm_error){ .code = "NOT_FOUND" });
}

static bool check_access(struct look *look, int64_t now_ms)
{
	static const char missing[] =
	        "Request is missing required authentication credential. Expected OAuth 2 access "
	        "token, login cookie or other valid authentication credential.";
	const char *header = headers_find(&look->request->head, "authorization");

	if (header == NULL)
		return complain(look, (struct fcm_error){ .code = "UNAUTHENTICATED",
		                                          .message = missing,
		                                          .info = "CREDENTIALS_MISSING" });
	if (strncasecmp(header, "bearer ", 7) == 0 &&
	    access_check(look->fcm->access, header + 7, now_ms) == ACCESS_GOOD)
		return true;
	return complain(look, (struct fcm_error){ .code = "UNAUTHENTICATED" });
}

static bool check_message(struct look *look)
{
	return check_body(look) && check_names(look) && check_target(look) && check_token(look) &&
	       check_data(look) && check_android(look);
}

void fcm_accept(struct fcm *fcm, int64_t now_ms, struct answer *answer)
{
	answer->status = 200;
	answer->type = "application/json; charset=UTF-8";
	buf_printf(&answer->body, "{\"name\":\"projects/%s/messages/0:%lld%%%016llx\"}",
	           fcm->project, (long long)now_ms, (unsigned long long)++fcm->sent);
}

/* A message that was only to be checked gets a name that says so. */
static void accept_message(struct look *look, int64_t now_ms, struct answer *answer)
{
	if (!json_is_true(member(look->request->json, "validate_only"))) {
		fcm_accept(look->fcm, now_ms, answer);
		return;
	}
	answer->status = 200;
	answer->type = "application/json; charset=UTF-8";
	buf_printf(&answer->body, "{\"name\":\"projects/%s/messages/fake_message_id\"}",
	           look->fcm->project);
}

void fcm_answer(struct fcm *fcm, const struct request *request, int64_t now_ms,
                struct answer *answer)
{
	struct look look = { .fcm = fcm, .request = request };

	if (check_path(&look) && check_access(&look, now_ms) && check_message(&look))
		accept_message(&look, now_ms, answer);
	else if (look.error.code == NULL)
		fcm_error_not_served(answer);
	else
		fcm_error_answer(answer, 0, &look.error);
}

void fcm_refuse(struct answer *answer, unsigned status, const char *code)
{
	struct fcm_error error = { .code = code != NULL ? code : fcm_error_code(status) };

	fcm_error_answer(answer, status, &error);
}
