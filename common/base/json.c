#include "common/base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

bool json_reader_ok(const struct json_reader *reader)
{
	return reader->complaint[0] == '\0';
}

/* The first complaint is kept: what follows is often only its consequence. */
static void complain(struct json_reader *reader, const char *path, const char *text)
{
	if (!json_reader_ok(reader))
		return;
	snprintf(reader->complaint, sizeof(reader->complaint), "%s%s%s", path,
	         path[0] == '\0' ? "" : ": ", text);
}

/*
 * The place of member KEY of OBJECT into PATH (JSON_PATH_MAX bytes); of OBJECT itself without a
 * KEY.
 */
static void join(const struct json_object *object, const char *key, char *path)
{
	bool deeper = key != NULL && key[0] != '\0';
	const char *dot = deeper && object->path[0] != '\0' ? "." : "";

	if (snprintf(path, JSON_PATH_MAX, "%s%s%s", object->path, dot, deeper ? key : "") >=
	    JSON_PATH_MAX)
		memcpy(path + JSON_PATH_MAX - sizeof("..."), "...", sizeof("..."));
}

void json_complain(struct json_object *object, const char *key, const char *text)
{
	char path[JSON_PATH_MAX];

	join(object, key, path);
	complain(object->reader, path, text);
}

static void remember(struct json_object *object, const char *key)
{
	for (unsigned i = 0; i < object->known; i++) {
		if (strcmp(object->asked[i], key) == 0)
			return;
	}
	assert(object->known < ARRAY_LEN(object->asked));
	object->asked[object->known++] = key;
}

/* The member KEY, or NULL when it is absent, null or there was a complaint. */
static const json_t *find(struct json_object *object, const char *key)
{
	const json_t *value;

	if (object->value == NULL || !json_reader_ok(object->reader))
		return NULL;
	remember(object, key);
	value = json_object_get(object->value, key);
	return json_is_null(value) ? NULL : value;
}

/* The same, with a complaint when it is NEEDED and OBJECT is there but the member isn't. */
static const json_t *find_needed(struct json_object *object, const char *key, bool needed)
{
	const json_t *value = find(object, key);

	if (value == NULL && needed && object->value != NULL)
		json_complain(object, key, "is missing");
	return value;
}

struct json_object json_object_top(struct json_reader *reader, const json_t *value)
{
	struct json_object object = { .reader = reader };

	reader->complaint[0] = '\0';
	if (json_is_object(value))
		object.value = value;
	else
		complain(reader, "", "must be a JSON object");
	return object;
}

struct json_object json_object_member(struct json_object *object, const char *key, bool needed)
{
	struct json_object member = { .reader = object->reader };

	join(object, key, member.path);
	member.value = find_needed(object, key, needed);
	if (member.value != NULL && !json_is_object(member.value)) {
		complain(object->reader, member.path, "must be an object");
		member.value = NULL;
	}
	return member;
}

/* Element INDEX of the array member KEY, and its place into PATH; NULL after a complaint. */
static const json_t *find_element(struct json_object *object, const char *key, size_t index,
                                  char *path)
{
	const json_t *array = find(object, key);
	size_t len;

	join(object, key, path);
	len = strlen(path);
	snprintf(path + len, JSON_PATH_MAX - len, "[%zu]", index);
	return json_array_get(array, index);
}

struct json_object json_object_element(struct json_object *object, const char *key, size_t index)
{
	struct json_object element = { .reader = object->reader };

	element.value = find_element(object, key, index, element.path);
	if (!json_is_object(element.value)) {
		complain(object->reader, element.path, "must be an object");
		element.value = NULL;
	}
	return element;
}

size_t json_array_count(struct json_object *object, const char *key, size_t most, bool needed)
{
	const json_t *array = find_needed(object, key, needed);
	char text[64];

	if (array == NULL)
		return 0;
	if (!json_is_array(array)) {
		json_complain(object, key, "must be an array");
		return 0;
	}
	if (json_array_size(array) > most) {
		snprintf(text, sizeof(text), "must have at most %zu elements", most);
		json_complain(object, key, text);
		return 0;
	}
	return json_array_size(array);
}

/*
 * VALUE's text when it is a string of LEAST to MOST bytes; else NULL with a complaint about PATH.
 */
static const char *read_string(struct json_reader *reader, const char *path, const json_t *value,
                               size_t least, size_t most)
{
	size_t len = json_string_length(value);
	char text[64];

	/* strlen: a NUL within would cut the text that the caller sees. */
	if (json_is_string(value) && len >= least && len <= most &&
	    strlen(json_string_value(value)) == len)
		return json_string_value(value);
	snprintf(text, sizeof(text), "must be a string of %zu to %zu bytes", least, most);
	complain(reader, path, text);
	return NULL;
}

const char *json_array_string(struct json_object *object, const char *key, size_t index,
                              size_t most)
{
	char path[JSON_PATH_MAX];
	const json_t *value = find_element(object, key, index, path);

	return read_string(object->reader, path, value, 1, most);
}

const char *json_string_member(struct json_object *object, const char *key, size_t most,
                               bool needed)
{
	const json_t *value = find_needed(object, key, needed);
	char path[JSON_PATH_MAX];

	if (value == NULL)
		return NULL;
	join(object, key, path);
	return read_string(object->reader, path, value, needed ? 1 : 0, most);
}

int64_t json_integer_member(struct json_object *object, const char *key, int64_t least,
                            int64_t most, int64_t fallback)
{
	const json_t *value = find(object, key);
	char text[80];

	if (value == NULL)
		return fallback;
	if (json_is_integer(value) && json_integer_value(value) >= least &&
	    json_integer_value(value) <= most)
		return json_integer_value(value);
	snprintf(text, sizeof(text), "must be an integer from %" PRId64 " to %" PRId64, least,
	         most);
	json_complain(object, key, text);
	return fallback;
}

bool json_boolean_member(struct json_object *object, const char *key, bool fallback)
{
	const json_t *value = find(object, key);

	if (value == NULL)
		return fallback;
	if (json_is_boolean(value))
		return json_is_true(value);
	json_complain(object, key, "must be true or false");
	return fallback;
}

const json_t *json_any_member(struct json_object *object, const char *key)
{
	return find(object, key);
}

static bool was_asked(const struct json_object *object, const char *key)
{
	for (unsigned i = 0; i < object->known; i++) {
		if (strcmp(object->asked[i], key) == 0)
			return true;
	}
	return false;
}

/*
 * KEY is a stranger's: what isn't plain ASCII is shown as "?", and the rest after 32 bytes not at
 * all.
 */
static void complain_unknown(struct json_object *object, const char *key)
{
	char name[33];
	char text[64];
	size_t len = strnlen(key, sizeof(name) - 1);

	for (size_t i = 0; i < len; i++)
		name[i] = key[i] > ' ' && key[i] < 0x7f ? key[i] : '?';
	name[len] = '\0';
	snprintf(text, sizeof(text), "unknown member '%s'", name);
	json_complain(object, NULL, text);
}

void json_object_end(struct json_object *object)
{
	if (object->value == NULL || !json_reader_ok(object->reader))
		return;
	for (void *at = json_object_iter((json_t *)object->value); at != NULL;
	     at = json_object_iter_next((json_t *)object->value, at)) {
		if (!was_asked(object, json_object_iter_key(at))) {
			complain_unknown(object, json_object_iter_key(at));
			return;
		}
	}
}
