#include "tests/fakes/rule.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define TEXT_MAX 8192
#define REASON_MAX 47
#define FIELDS_MOST 32 /* headers of an answer */
#define DELAY_MAX_MS 3600000

/* RFC 9113 section 7, by number. */
static const char *const error_names[] = {
	"NO_ERROR",
	"PROTOCOL_ERROR",
	"INTERNAL_ERROR",
	"FLOW_CONTROL_ERROR",
	"SETTINGS_TIMEOUT",
	"STREAM_CLOSED",
	"FRAME_SIZE_ERROR",
	"REFUSED_STREAM",
	"CANCEL",
	"COMPRESSION_ERROR",
	"CONNECT_ERROR",
	"ENHANCE_YOUR_CALM",
	"INADEQUATE_SECURITY",
	"HTTP_1_1_REQUIRED",
	NULL,
};

/* The place of TEXT in NAMES (ended by NULL), or -1. */
static int place_of(const char *text, const char *const *names)
{
	for (int i = 0; names[i] != NULL; i++) {
		if (strcmp(names[i], text) == 0)
			return i;
	}
	return -1;
}

/* The member KEY, one of NAMES, as its place; FALLBACK when absent. */
static int read_choice(struct json_object *object, const char *key, const char *const *names,
                       int fallback)
{
	const char *text = json_string_member(object, key, TEXT_MAX, false);
	int place = text == NULL ? fallback : place_of(text, names);

	if (text != NULL && place < 0)
		json_complain(object, key, "is not a known name");
	return place < 0 ? fallback : place;
}

/* Which of the requests that fit are answered. */
static void read_count(struct rule *rule, struct json_object *match)
{
	bool has_nth = json_object_get(match->value, "nth") != NULL;
	bool has_every = json_object_get(match->value, "every") != NULL;
	const json_t *share = json_any_member(match, "share");

	rule->every = json_integer_member(match, "every", 1, INT64_MAX, 1);
	rule->nth = json_integer_member(match, "nth", 1, INT64_MAX, rule->every);
	rule->times = json_integer_member(match, "times", 1, INT64_MAX,
	                                  has_nth && !has_every && share == NULL ? 1 : 0);
	rule->share = share == NULL ? 1 : json_number_value(share);
	if (!(rule->share > 0 && rule->share <= 1))
		json_complain(match, "share", "must be a number over 0, at most 1");
	rule->random = (uint64_t)json_integer_member(match, "seed", 0, INT64_MAX, 1);
}

static void read_match(struct rule *rule, struct json_object *top, int64_t now_ms)
{
	struct json_object match = json_object_member(top, "match", false);
	int64_t life_ms = json_integer_member(&match, "for_ms", 1, DELAY_MAX_MS, 0);

	rule->token = json_string_member(&match, "token", TEXT_MAX, false);
	rule->path = json_string_member(&match, "path", TEXT_MAX, false);
	rule->provider = read_choice(&match, "provider", provider_names, -1);
	rule->environment = read_choice(&match, "environment", environment_names, -1);
	rule->until_ms = life_ms == 0 ? 0 : now_ms + life_ms;
	read_count(rule, &match);
	json_object_end(&match);
}

/* A name that HTTP/2 takes (lower case, RFC 9113 section 8.2.1) with a value that is plain text. */
static bool header_good(const char *name, const char *value)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");

	if (len == 0 || name[len] != '\0' || value == NULL)
		return false;
	for (; *value != '\0'; value++) {
		if (iscntrl((unsigned char)*value))
			return false;
	}
	return true;
}

static void read_headers(struct scripted *answer, struct json_object *object)
{
	const json_t *headers = json_any_member(object, "headers"), *value;
	const char *name;

	if (headers != NULL &&
	    (!json_is_object(headers) || json_object_size(headers) > FIELDS_MOST))
		json_complain(object, "headers", "must be an object of at most 32 members");
	json_object_foreach ((json_t *)headers, name, value) {
		struct header header = { name, json_string_value(value) };

		if (!header_good(header.name, header.value)) {
			json_complain(object, "headers", "must be lower-case names with strings");
			return;
		}
		headers_add(&answer->headers, header, strlen(header.name), strlen(header.value));
	}
}

static void read_goaway(struct scripted *answer, struct json_object *object)
{
	struct json_object goaway = json_object_member(object, "goaway", false);

	if (goaway.value == NULL)
		return;
	answer->fault = FAULT_GOAWAY;
	answer->goaway_last =
	        (int32_t)json_integer_member(&goaway, "last", 0, INT32_MAX, ANSWER_LAST_BEFORE);
	answer->debug = json_any_member(&goaway, "debug");
	answer->goaway_silent = json_boolean_member(&goaway, "silent", false);
	answer->error_code = (uint32_t)read_choice(&goaway, "code", error_names, 0);
	json_object_end(&goaway);
}

static void read_fault(struct scripted *answer, struct json_object *object)
{
	int code = read_choice(object, "rst", error_names, -1);

	if (json_boolean_member(object, "silent", false))
		answer->fault = FAULT_SILENT;
	if (json_boolean_member(object, "close", false))
		answer->fault = FAULT_CLOSE;
	if (code >= 0) {
		answer->fault = FAULT_RST;
		answer->error_code = (uint32_t)code;
	}
	read_goaway(answer, object);
}

static const char *read_reason(struct json_object *object)
{
	const char *reason = json_string_member(object, "reason", REASON_MAX, false);

	for (const char *at = reason; at != NULL && *at != '\0'; at++) {
		if (!isalnum((unsigned char)*at) && *at != '_') {
			json_complain(object, "reason", "must be letters, digits and _");
			return NULL;
		}
	}
	return reason;
}

static void read_answer(struct scripted *answer, struct json_object *top)
{
	struct json_object object = json_object_member(top, "answer", true);

	answer->status = (unsigned)json_integer_member(&object, "status", 200, 599, 0);
	answer->reason = read_reason(&object);
	answer->timestamp_ms = json_integer_member(&object, "timestamp", 0, INT64_MAX, -1);
	answer->delay_ms = (uint32_t)json_integer_member(&object, "delay_ms", 0, DELAY_MAX_MS, 0);
	answer->expires_in_s = json_integer_member(&object, "expires_in", 1, INT32_MAX, 0);
	answer->body = json_any_member(&object, "body");
	read_headers(answer, &object);
	read_fault(answer, &object);
	json_object_end(&object);
}

struct rule *rule_read(struct json_object *top, size_t index, int64_t now_ms)
{
	struct json_object object = json_object_element(top, "rules", index);
	struct rule *rule = mem_alloc(1, sizeof(*rule));

	rule->source = json_incref((json_t *)object.value);
	read_match(rule, &object, now_ms);
	read_answer(&rule->answer, &object);
	json_object_end(&object);
	if (json_reader_ok(top->reader))
		return rule;
	rule_free(rule);
	return NULL;
}

static bool path_fits(const char *wanted, const char *path)
{
	size_t len = strlen(wanted);

	if (len > 0 && wanted[len - 1] == '*')
		return strncmp(wanted, path, len - 1) == 0;
	return strcmp(wanted, path) == 0;
}

static bool fits(const struct rule *rule, const struct request *request)
{
	if (rule->provider >= 0 && rule->provider != (int)request->provider)
		return false;
	if (rule->environment >= 0 && rule->environment != (int)request->environment)
		return false;
	return rule->path == NULL || path_fits(rule->path, request->path);
}

/* A number from 0 to below 1: SplitMix64, so that a seed gives the same requests again. */
static double draw(struct rule *rule)
{
	uint64_t mixed = rule->random += 0x9e3779b97f4a7c15u;

	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
	return (double)((mixed ^ mixed >> 31) >> 11) / (double)(1ull << 53);
}

bool rule_wants(struct rule *rule, const struct request *request, int64_t now_ms)
{
	if (!fits(rule, request) || (rule->until_ms != 0 && now_ms >= rule->until_ms))
		return false;
	rule->seen++;
	if (rule->seen < rule->nth || (rule->seen - rule->nth) % rule->every != 0)
		return false;
	if (rule->share < 1 && draw(rule) >= rule->share)
		return false;
	return rule->times == 0 || rule->taken++ < rule->times;
}

void rule_free(struct rule *rule)
{
	buf_release(&rule->answer.headers);
	json_decref(rule->source);
	free(rule);
}
