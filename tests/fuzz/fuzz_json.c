/* The readers of members: the input is an object with the keys that are asked for here. */
#include "common/base/json.h"
#include "tests/fuzz/fuzz.h"

static void read_numbers(struct json_object *object)
{
	int64_t number = json_integer_member(object, "number", -5, 500, 7);

	assert(number >= -5 && number <= 500);
	(void)json_boolean_member(object, "flag", true);
}

static void read_texts(struct json_object *object)
{
	const char *text = json_string_member(object, "text", 8, false);
	size_t count = json_array_count(object, "names", 4, false);

	assert(text == NULL || strlen(text) <= 8);
	assert(count <= 4);
	for (size_t i = 0; i < count; i++) {
		const char *name = json_array_string(object, "names", i, 8);

		assert(name == NULL || (strlen(name) >= 1 && strlen(name) <= 8));
	}
}

static void read_object(struct json_object *object, unsigned depth)
{
	struct json_object member;
	size_t count;

	read_numbers(object);
	read_texts(object);
	member = json_object_member(object, "a member with a name that is longer than others",
	                            false);
	if (member.value != NULL && depth < 8)
		read_object(&member, depth + 1);
	count = json_array_count(object, "items", 4, false);
	for (size_t i = 0; i < count && depth < 8; i++) {
		member = json_object_element(object, "items", i);
		if (member.value != NULL)
			read_object(&member, depth + 1);
	}
	(void)json_any_member(object, "any");
	json_object_end(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *value = json_loadb((const char *)data, size, 0, NULL);
	struct json_reader reader;
	struct json_object top = json_object_top(&reader, value);

	read_object(&top, 0);
	assert(memchr(reader.complaint, '\0', sizeof(reader.complaint)) != NULL);
	json_decref(value);
	return 0;
}
