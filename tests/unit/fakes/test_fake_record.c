#include "tests/fakes/answer.c"
#include "tests/fakes/client.c"
#include "tests/fakes/form.c"
#include "tests/fakes/headers.c"
#include "tests/fakes/record.c"
#include "tests/fakes/request.c"
#include "tests/fakes/stats.c"

#include "tests/unit/fake.h"
#include "tests/unit/unit.h"

static struct record record;

static void teardown(void)
{
	record_clear(&record);
}

static void add(const char *path, const char *body, const struct answer *answer)
{
	struct request request;

	fake_request(&request, "POST", path, body);
	fake_header(&request, "apns-topic", "org.example.chat");
	request_complete(&request);
	record_add(&record, &request, answer, 7, FAKE_NOW_MS);
	request_release(&request);
}

static void check_shown(const char *wanted)
{
	json_t *list = record_list(&record, 0, 10);
	char *text = json_dumps(list, JSON_COMPACT);

	ck_assert_str_eq(text, wanted);
	free(text);
	json_decref(list);
}

START_TEST(an_entry_shows_the_request_and_its_answer)
{
	add("/3/device/ab", "{\"aps\":{}}", &(struct answer){ .status = 410, .reason = "Gone" });
	check_shown("[{\"n\":1,\"provider\":\"apns\",\"environment\":\"production\",\"connection\":"
	            "7,\"at_ms\":1800000000000,"
	            "\"path\":\"/3/device/ab\",\"headers\":{\"apns-topic\":\"org.example.chat\"},"
	            "\"body\":{\"aps\":{}},\"answered\":410,\"reason\":\"Gone\"}]");
}
END_TEST

static void check_body(const char *path, const char *body, const char *wanted)
{
	json_t *list, *shown;
	char *text;

	add(path, body, &(struct answer){ .fault = FAULT_SILENT });
	list = record_list(&record, record.end - 1, 1);
	shown = json_array_get(list, 0);
	text = json_dumps(json_object_get(shown, "body"), JSON_COMPACT | JSON_ENCODE_ANY);
	ck_assert_str_eq(text, wanted);
	ck_assert_str_eq(json_string_value(json_object_get(shown, "answered")), "silent");
	free(text);
	json_decref(list);
}

START_TEST(a_body_shows_as_json_as_a_form_or_as_text)
{
	check_body("/3/device/ab", "[1]", "[1]");
	check_body("/3/device/ab", "", "null");
	check_body("/3/device/ab", "{\"a\"", "\"{\\\"a\\\"\"");
	check_body("/3/device/ab", "\xff-", "\"?-\"");
	check_body("/token", "a=%20", "{\"a\":\" \"}");
	check_body("/token", "nothing", "\"nothing\"");
}
END_TEST

START_TEST(entries_are_read_page_by_page)
{
	json_t *list;

	for (int i = 0; i < 5; i++)
		add("/3/device/ab", "", &(struct answer){ .status = 200 });
	list = record_list(&record, 2, 3);
	ck_assert_uint_eq(json_array_size(list), 3);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 0), "n")), 2);
	json_decref(list);
	list = record_list(&record, 6, 3);
	ck_assert_uint_eq(json_array_size(list), 0);
	json_decref(list);
	record_clear(&record);
	add("/3/device/ab", "", &(struct answer){ .status = 200 });
	ck_assert_uint_eq(record.first, 1);
	ck_assert_uint_eq(record.end, 2);
}
END_TEST

START_TEST(the_oldest_fall_when_there_are_too_many_entries_or_bytes)
{
	char *body = mem_alloc(REQUEST_BODY_MAX + 1, 1);

	memset(body, 'x', REQUEST_BODY_MAX);
	for (unsigned i = 0; i < RECORD_BYTES / REQUEST_BODY_MAX + 10; i++) {
		struct request request = { .path = "/" };

		buf_append(&request.body, body, REQUEST_BODY_MAX);
		record_add(&record, &request, &(struct answer){ .status = 200 }, 1, 0);
		buf_release(&request.body);
		ck_assert_uint_le(record.bytes, RECORD_BYTES);
	}
	ck_assert_uint_gt(record.first, 10);
	free(body);
	for (unsigned i = 0; i < RECORD_ENTRIES + 10; i++) {
		struct request request = { .path = "/" };

		record_add(&record, &request, &(struct answer){ .status = 200 }, 1, 0);
	}
	ck_assert_uint_eq(record.end - record.first, RECORD_ENTRIES);
	teardown();
	ck_assert_uint_eq(record.bytes, 0);
}
END_TEST

START_TEST(counts_show_statuses_and_faults_and_what_is_open_survives_a_reset)
{
	struct stats stats = { 0 };
	json_t *shown;
	char *text;

	stats_connection_opened(&stats);
	stats_stream_opened(&stats, 1);
	stats_stream_opened(&stats, 2);
	stats_stream_closed(&stats);
	stats_answered(&stats, PROVIDER_FCM, &(struct answer){ .status = 404 });
	stats_answered(&stats, PROVIDER_FCM, &(struct answer){ .fault = FAULT_RST });
	shown = stats_show(&stats);
	text = json_dumps(shown, JSON_COMPACT);
	ck_assert_str_eq(
	        text, "{\"providers\":{"
	              "\"apns\":{\"requests\":0,\"statuses\":{},\"faults\":{}},"
	              "\"fcm\":{\"requests\":2,\"statuses\":{\"404\":1},"
	              "\"faults\":{\"rst\":1}},"
	              "\"oauth\":{\"requests\":0,\"statuses\":{},\"faults\":{}}},"
	              "\"connections\":{\"open\":1,\"most\":1,\"accepted\":1,"
	              "\"failed\":0,\"http1\":0,\"bytes_without_h2\":0},"
	              "\"streams\":{\"open\":1,\"most\":2,\"most_per_connection\":2},\"pings\":0}");
	free(text);
	json_decref(shown);
	stats_reset(&stats);
	ck_assert_uint_eq(stats.providers[PROVIDER_FCM].requests, 0);
	ck_assert_uint_eq(stats.connections_open, 1);
	ck_assert_uint_eq(stats.streams_most, 1);
}
END_TEST

START_TEST(a_request_keeps_what_its_caps_allow)
{
	struct request request = { 0 };
	char value[1000];
	int kept = 0;

	memset(value, 'v', sizeof(value));
	while (request_add_header(&request, (struct header){ "name", value }, 4, sizeof(value)) ==
	       0)
		kept++;
	ck_assert_int_eq(kept, REQUEST_HEAD_MAX / (4 + 1000 + 2));
	for (int i = 0; i < 70; i++)
		request_add_body(&request, value, sizeof(value));
	ck_assert_uint_eq(buf_len(&request.body), REQUEST_BODY_MAX);
	ck_assert_uint_eq(request.body_total, 70000);
	request_complete(&request);
	ck_assert_ptr_null(request.json);
	request_release(&request);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_entry_shows_the_request_and_its_answer,
		a_body_shows_as_json_as_a_form_or_as_text,
		entries_are_read_page_by_page,
		the_oldest_fall_when_there_are_too_many_entries_or_bytes,
		counts_show_statuses_and_faults_and_what_is_open_survives_a_reset,
		a_request_keeps_what_its_caps_allow,
	};

	return unit_run("fake-record", tests, ARRAY_LEN(tests), NULL, teardown);
}
