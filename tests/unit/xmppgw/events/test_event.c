#include "xmppgw/events/event.c"

#include <jansson.h>

#include "common/base/mem.h"
#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"

#define COMPONENT "proxy.example.org"

static struct event event;
static char complaint[200];

static enum event_verdict read_text(const char *text)
{
	return event_read(text, strlen(text), COMPONENT, &event, complaint);
}

/* A good event in which KEY is VALUE (owned; NULL: absent). */
static char *text_with(const char *key, json_t *value)
{
	json_t *object =
	        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "type", "over-limit", "component",
	                  COMPONENT, "requester", "a@example.org/r", "target", "b@example.net/t",
	                  "reason", "Enough.", "hash", "0123456789012345678901234567890123456789",
	                  "at_ms", (json_int_t)1700000000000);
	char *text;

	if (value == NULL)
		json_object_del(object, key);
	else
		json_object_set_new(object, key, value);
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}

static enum event_verdict read_with(const char *key, json_t *value)
{
	char *text = text_with(key, value);
	enum event_verdict verdict = read_text(text);

	free(text);
	return verdict;
}

#define MESSAGE(type, to, body)                                                                    \
	"<message type='" type "' id='1700000000000-0' from='proxy.example.org' to='" to "'>" body \
	"<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"          \
	"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>"                         \
	"Over &lt;5 MB&gt; &amp; &apos;more&apos;.</text></error></message>"

static void expect_over_limit(bool as_error, const char *expected)
{
	struct buf out = { 0 };
	char *text;

	event_write_over_limit(&event, COMPONENT, "1700000000000-0", as_error, &out);
	text = buf_take(&out);
	ck_assert_str_eq(text, expected);
	free(text);
}

static void read_over_limit_with(const char *explanation)
{
	char *text = text_with("reason", json_string("Over <5 MB> & 'more'."));
	json_t *object = json_loads(text, 0, NULL);

	free(text);
	if (explanation != NULL)
		json_object_set_new(object, "explanation", json_string(explanation));
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	ck_assert_int_eq(read_text(text), EVENT_READ);
	ck_assert_str_eq(complaint, "");
	free(text);
}

START_TEST(both_parties_get_a_headline_with_the_explanation_and_the_error_beside_it)
{
	read_over_limit_with("That's <all>.");
#define BODY(other)                                                                                \
	"<body>The file transfer with " other " was stopped before it was complete. "              \
	"That&apos;s &lt;all&gt;.</body>"
	expect_over_limit(false,
	                  MESSAGE("headline", "a@example.org/r", BODY("b@example.net"))
	                          MESSAGE("headline", "b@example.net/t", BODY("a@example.org")));
}
END_TEST

START_TEST(without_an_explanation_the_reason_is_what_people_read)
{
	read_over_limit_with(NULL);
#define SHORT_BODY(other)                                                                          \
	"<body>The file transfer with " other " was stopped before it was complete. "              \
	"Over &lt;5 MB&gt; &amp; &apos;more&apos;.</body>"
	expect_over_limit(
	        false, MESSAGE("headline", "a@example.org/r", SHORT_BODY("b@example.net"))
	                       MESSAGE("headline", "b@example.net/t", SHORT_BODY("a@example.org")));
}
END_TEST

START_TEST(as_an_error_it_is_the_reason_alone)
{
	read_over_limit_with("That's <all>.");
	expect_over_limit(true, MESSAGE("error", "a@example.org/r", "")
	                                MESSAGE("error", "b@example.net/t", ""));
}
END_TEST

START_TEST(addresses_are_prepared_and_can_break_out_of_no_attribute)
{
	struct buf out = { 0 };
	struct xml_reader *reader;
	const struct xml *stanza;
	char *text;

	ck_assert_int_eq(read_with("requester", json_string("A@Example.ORG/r'/><x y='&")),
	                 EVENT_READ);
	event_write_over_limit(&event, COMPONENT, "1-0", false, &out);
	text = buf_take(&out);
	stanza = stanza_parse(&reader, text);
	ck_assert_str_eq(xml_attribute(stanza, "to"), "a@example.org/r'/><x y='&");
	ck_assert_str_eq(xml_attribute(stanza, "from"), COMPONENT);
	xml_reader_free(reader);
	free(text);
}
END_TEST

START_TEST(admins_get_a_message_with_the_text)
{
	static const char notice[] =
	        "{\"type\":\"credential-expiry\",\"provider\":\"apns\",\"days\":7,"
	        "\"expires_ms\":2,\"at_ms\":1,\"text\":\"It <ends>.\"}";
	struct buf out = { 0 };
	char *text;

	ck_assert_int_eq(read_text(notice), EVENT_READ);
	ck_assert_int_eq(event.kind, EVENT_CREDENTIAL_EXPIRY);
	ck_assert_int_eq(event.at_ms, 1);
	event_write(&event, COMPONENT, "1-0", "root@example.org", &out);
	text = buf_take(&out);
	ck_assert_str_eq(text, "<message id='1-0' from='proxy.example.org' to='root@example.org'>"
	                       "<subject>A push credential expires</subject>"
	                       "<body>It &lt;ends&gt;.</body></message>");
	free(text);
	ck_assert_int_eq(read_text("{\"type\":\"credential-expiry\",\"at_ms\":1}"),
	                 EVENT_MALFORMED);
	ck_assert_int_eq(read_text("{\"type\":\"credential-expiry\",\"text\":\"x\",\"at_ms\":-1}"),
	                 EVENT_MALFORMED);
}
END_TEST

START_TEST(admins_are_told_that_redis_fills)
{
	static const char notice[] = "{\"type\":\"storage-filling\",\"percent\":83,"
	                             "\"at_ms\":7,\"text\":\"Redis is <full>.\"}";
	struct buf out = { 0 };
	char *text;

	ck_assert_int_eq(read_text(notice), EVENT_READ);
	ck_assert_int_eq(event.kind, EVENT_STORAGE_FILLING);
	ck_assert_int_eq(event.at_ms, 7);
	event_write(&event, COMPONENT, "1-0", "root@example.org", &out);
	text = buf_take(&out);
	ck_assert_str_eq(text, "<message id='1-0' from='proxy.example.org' to='root@example.org'>"
	                       "<subject>Redis is nearly full</subject>"
	                       "<body>Redis is &lt;full&gt;.</body></message>");
	free(text);
	ck_assert_int_eq(read_text("{\"type\":\"storage-filling\",\"at_ms\":1}"), EVENT_MALFORMED);
}
END_TEST

START_TEST(a_device_that_is_gone_is_told_to_the_server_of_its_owner)
{
	static const char gone[] = "{\"type\":\"device-gone\",\"component\":\"" COMPONENT "\","
	                           "\"owner\":\"A@example.org\",\"node\":\"0'1\"}";
	struct buf out = { 0 };
	char to[JID_TEXT_MAX], *text;

	ck_assert_int_eq(read_text(gone), EVENT_READ);
	ck_assert_int_eq(event.kind, EVENT_DEVICE_GONE);
	event_write(&event, COMPONENT, "1-0", jid_full(&event.requester, to), &out);
	text = buf_take(&out);
	ck_assert_str_eq(text, "<message id='1-0' from='proxy.example.org' to='a@example.org'>"
	                       "<pubsub xmlns='http://jabber.org/protocol/pubsub' node='0&apos;1'>"
	                       "<affiliation jid='a@example.org' affiliation='none'/></pubsub>"
	                       "</message>");
	free(text);
	ck_assert_int_eq(read_text("{\"type\":\"device-gone\",\"component\":\"" COMPONENT
	                           "\",\"owner\":\"a@b\"}"),
	                 EVENT_MALFORMED);
	ck_assert_int_eq(read_text("{\"type\":\"device-gone\",\"component\":\"x.example\","
	                           "\"owner\":\"a@b\",\"node\":\"1\"}"),
	                 EVENT_FOREIGN);
}
END_TEST

START_TEST(what_is_for_others_is_foreign)
{
	ck_assert_int_eq(read_with("component", json_string("other.example.org")), EVENT_FOREIGN);
	ck_assert_int_eq(read_with("type", json_string("something-new")), EVENT_FOREIGN);
	ck_assert_int_eq(read_with("more", json_true()), EVENT_READ);
	ck_assert_int_eq(read_with("hash", NULL), EVENT_READ);
}
END_TEST

START_TEST(what_is_malformed_is_complained_about)
{
	static const char *const needed[] = { "type", "component", "requester", "target",
		                              "reason" };
	static const char *const no_jids[] = { "", "@", "a@", "a b@c", "a@b/", "a@b\x01/c" };
	static const char *const no_objects[] = { "",      "{",    "[]",   "null",
		                                  "\"x\"", "{}{}", "\xff", "{\"a\":\"\xff\"}" };

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		ck_assert_int_eq(read_with(needed[i], NULL), EVENT_MALFORMED);
		ck_assert_ptr_nonnull(strstr(complaint, needed[i]));
		ck_assert_int_eq(read_with(needed[i], json_integer(1)), EVENT_MALFORMED);
		ck_assert_int_eq(read_with(needed[i], json_stringn("a@b\0c", 5)), EVENT_MALFORMED);
	}
	for (size_t i = 0; i < ARRAY_LEN(no_jids); i++) {
		ck_assert_int_eq(read_with("requester", json_string(no_jids[i])), EVENT_MALFORMED);
		ck_assert_int_eq(read_with("target", json_string(no_jids[i])), EVENT_MALFORMED);
	}
	for (size_t i = 0; i < ARRAY_LEN(no_objects); i++) {
		ck_assert_int_eq(read_text(no_objects[i]), EVENT_MALFORMED);
		ck_assert_str_ne(complaint, "");
	}
}
END_TEST

START_TEST(texts_have_an_end)
{
	char *text = mem_alloc(1, 4 * JID_TEXT_MAX);

	memset(text, 'a', EVENT_REASON_MAX);
	ck_assert_int_eq(read_with("reason", json_string(text)), EVENT_READ);
	ck_assert_uint_eq(strlen(event.reason), EVENT_REASON_MAX);
	text[EVENT_REASON_MAX] = 'a';
	ck_assert_int_eq(read_with("reason", json_string(text)), EVENT_MALFORMED);
	ck_assert_int_eq(read_with("explanation", json_string(text)), EVENT_MALFORMED);
	memset(text, 'a', 4 * JID_TEXT_MAX - 1);
	ck_assert_int_eq(read_with("target", json_string(text)), EVENT_MALFORMED);
	ck_assert_int_eq(read_with("component", json_string(text)), EVENT_MALFORMED);
	free(text);
}
END_TEST

START_TEST(every_beginning_of_an_event_is_malformed)
{
	char *text = text_with("more", json_true());

	for (size_t len = 0; len < strlen(text); len++)
		ck_assert_int_eq(event_read(text, len, COMPONENT, &event, complaint),
		                 EVENT_MALFORMED);
	ck_assert_int_eq(read_text(text), EVENT_READ);
	free(text);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		both_parties_get_a_headline_with_the_explanation_and_the_error_beside_it,
		without_an_explanation_the_reason_is_what_people_read,
		as_an_error_it_is_the_reason_alone,
		addresses_are_prepared_and_can_break_out_of_no_attribute,
		admins_get_a_message_with_the_text,
		admins_are_told_that_redis_fills,
		a_device_that_is_gone_is_told_to_the_server_of_its_owner,
		what_is_for_others_is_foreign,
		what_is_malformed_is_complained_about,
		texts_have_an_end,
		every_beginning_of_an_event_is_malformed,
	};

	return unit_run("event", tests, ARRAY_LEN(tests), NULL, NULL);
}
