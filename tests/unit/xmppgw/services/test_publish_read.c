#include "xmppgw/services/publish_read.c"

#include <dirent.h>
#include <jansson.h>

#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"

#define CASES "tests/data/publish"

static const char *const verdicts[] = { "read", "unknown", "malformed" };

static enum publish_verdict read_stanza(const struct xml *iq, struct publish *publish)
{
	char component[JID_PART_MAX + 1];

	ck_assert_int_eq(jid_domain(xml_attribute(iq, "to"), component), 0);
	return publish_read(iq->first, xml_attribute(iq, "from"), component, publish);
}

/* What publish_read() made of a stanza: an array of notifications, or the verdict as a string. */
static json_t *read_text(const char *text)
{
	struct xml_reader *reader;
	const struct xml *iq = stanza_parse(&reader, text);
	struct publish publish = { 0 };
	enum publish_verdict verdict = read_stanza(iq, &publish);
	struct buf array = { 0 };
	json_t *result = json_string(verdicts[verdict]);

	if (verdict == PUBLISH_READ) {
		buf_text(&array, "[");
		buf_append(&array, buf_data(&publish.json), buf_len(&publish.json));
		buf_text(&array, "]");
		json_decref(result);
		result = json_loadb(buf_data(&array), buf_len(&array), 0, NULL);
		ck_assert_ptr_nonnull(result);
		ck_assert_uint_eq(publish.count, json_array_size(result));
	}
	buf_release(&array);
	buf_release(&publish.json);
	xml_reader_free(reader);
	return result;
}

static void check_case(const char *name)
{
	char *path = mem_printf(CASES "/%s.xml", name);
	char *text = stanza_file(path);
	json_t *expected, *got = read_text(text);
	char *got_text = json_dumps(got, JSON_ENCODE_ANY);

	free(path);
	path = mem_printf(CASES "/%s.json", name);
	expected = json_load_file(path, JSON_DECODE_ANY, NULL);
	ck_assert_msg(expected != NULL, "%s is no JSON", path);
	ck_assert_msg(json_equal(expected, got), "%s: got %s", name, got_text);
	json_decref(expected);
	json_decref(got);
	free(got_text);
	free(text);
	free(path);
}

START_TEST(every_recorded_and_invented_publish_is_read_as_it_should_be)
{
	DIR *dir = opendir(CASES);
	struct dirent *entry;
	unsigned count = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL) {
		char *dot = strrchr(entry->d_name, '.');

		if (dot == NULL || strcmp(dot, ".xml") != 0)
			continue;
		*dot = '\0';
		check_case(entry->d_name);
		count++;
	}
	closedir(dir);
	ck_assert_uint_ge(count, 25);
}
END_TEST

/* The last-message-body that is passed on for BODY. */
static char *pass_body(const char *body)
{
	char *text = mem_printf("<iq from='x.org' to='p.x'><pubsub xmlns='" PUBSUB_NS "'>"
	                        "<publish node='n'><item><notification xmlns='" PUSH_NS "'>"
	                        "<x xmlns='jabber:x:data'><field var='last-message-body'>"
	                        "<value>%s</value></field></x></notification></item></publish>"
	                        "</pubsub></iq>",
	                        body);
	json_t *got = read_text(text);
	const json_t *summary = json_object_get(json_array_get(got, 0), "summary");
	char *passed = mem_dup(json_string_value(json_object_get(summary, "body")));

	json_decref(got);
	free(text);
	return passed;
}

START_TEST(a_long_body_is_cut_between_two_characters)
{
	char body[BODY_MAX + 10];
	char *passed;

	for (size_t shift = 0; shift < 3; shift++) {
		memset(body, 0, sizeof(body));
		memset(body, 'a', shift);
		for (size_t i = shift; i < BODY_MAX + 4; i += 3)
			memcpy(body + i, "\xe2\x82\xac", 3);
		passed = pass_body(body);
		ck_assert_uint_eq(strlen(passed), BODY_MAX - (BODY_MAX - shift) % 3);
		ck_assert_mem_eq(passed, body, strlen(passed));
		free(passed);
	}
	memset(body, 'b', BODY_MAX);
	body[BODY_MAX] = '\0';
	passed = pass_body(body);
	ck_assert_str_eq(passed, body);
	free(passed);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_recorded_and_invented_publish_is_read_as_it_should_be,
		a_long_body_is_cut_between_two_characters,
	};

	return unit_run("publish_read", tests, ARRAY_LEN(tests), NULL, NULL);
}
