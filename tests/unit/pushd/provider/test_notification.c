#include "pushd/provider/notification.c"

#include "tests/unit/cases.h"
#include "tests/unit/unit.h"

static void check_reading(const char *name, const json_t *expected)
{
	struct json_reader reader;
	struct json_object item = json_object_top(&reader, json_object_get(expected, "item"));
	const char *complaint = case_text(expected, "complaint");
	struct notification notification;
	enum priority empty, priority;

	notification_read(&notification, &item);
	if (complaint != NULL) {
		ck_assert_msg(strncmp(reader.complaint, complaint, strlen(complaint)) == 0,
		              "%s: got \"%s\"", name, reader.complaint);
		return;
	}
	ck_assert_msg(json_reader_ok(&reader), "%s: %s", name, reader.complaint);
	empty = strcmp(case_text(expected, "empty"), "low") == 0 ? PRIORITY_LOW : PRIORITY_HIGH;
	priority = notification_priority(&notification, empty);
	ck_assert_msg((priority == PRIORITY_HIGH) ==
	                      (strcmp(case_text(expected, "priority"), "high") == 0),
	              "%s: priority %d", name, priority);
	ck_assert_msg(notification_is_call(&notification, priority) ==
	                      json_is_true(json_object_get(expected, "call")),
	              "%s", name);
}

START_TEST(every_item_is_read_and_weighed_as_it_should_be)
{
	ck_assert_uint_ge(cases_each("tests/data/notification", check_reading), 30);
}
END_TEST

START_TEST(all_members_are_read)
{
	json_t *json = json_loads(
	        "{\"component\":\"c\",\"domain\":\"d\",\"node\":\"n\",\"secret\":\"s\",\"module\":"
	        "\"o\","
	        "\"summary\":{\"count\":1,\"sender\":\"a\",\"body\":\"b\","
	        "\"pending_subscriptions\":2,\"subscription_sender\":\"e\"},"
	        "\"priority\":\"low\",\"encrypted\":{\"iv\":\"i\",\"payload\":\"p\",\"voip\":true},"
	        "\"nickname\":\"k\",\"jingle\":{\"action\":\"f\",\"sid\":\"g\",\"media\":[\"m\"]},"
	        "\"meet\":{\"id\":\"h\",\"jid\":\"j\"},\"account_removed\":true}",
	        0, NULL);
	struct json_reader reader;
	struct json_object item = json_object_top(&reader, json);
	struct notification n;

	notification_read(&n, &item);
	ck_assert_msg(json_reader_ok(&reader), "%s", reader.complaint);
	ck_assert_str_eq(n.component, "c");
	ck_assert_str_eq(n.domain, "d");
	ck_assert_str_eq(n.node, "n");
	ck_assert_str_eq(n.secret, "s");
	ck_assert_str_eq(n.module, "o");
	ck_assert(n.summary && n.voip && n.account_removed);
	ck_assert_int_eq(n.count, 1);
	ck_assert_int_eq(n.pending, 2);
	ck_assert_str_eq(n.sender, "a");
	ck_assert_str_eq(n.body, "b");
	ck_assert_str_eq(n.inviter, "e");
	ck_assert_int_eq(n.requested, REQUESTED_LOW);
	ck_assert_str_eq(n.iv, "i");
	ck_assert_str_eq(n.payload, "p");
	ck_assert_str_eq(n.nickname, "k");
	ck_assert_str_eq(n.action, "f");
	ck_assert_str_eq(n.sid, "g");
	ck_assert_str_eq(n.meet_id, "h");
	ck_assert_str_eq(n.meet_jid, "j");
	json_decref(json);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_item_is_read_and_weighed_as_it_should_be,
		all_members_are_read,
	};

	return unit_run("notification", tests, ARRAY_LEN(tests), NULL, NULL);
}
