#include "xmppgw/services/bytestreams.c"

#include "common/base/mem.h"
#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"

static struct bytestream bytestream;
static enum iq_condition error;

/* Reads the activation QUERY of FROM. */
static int read_query(const char *from, const char *query)
{
	char *text = mem_printf("<iq>%s</iq>", query);
	struct xml_reader *reader;
	const struct xml *iq = stanza_parse(&reader, text);
	int result = bytestreams_read(iq->first, from, &bytestream, &error);

	xml_reader_free(reader);
	free(text);
	return result;
}

#define QUERY(sid, target)                                                                         \
	"<query xmlns='" BYTESTREAMS_NS "' sid='" sid "'><activate>" target "</activate></query>"

static void is_refused(const char *from, const char *query, enum iq_condition expected)
{
	ck_assert_int_eq(read_query(from, query), -1);
	ck_assert_int_eq(error, expected);
}

START_TEST(the_hash_is_sha1_of_sid_requester_and_target)
{
	/* printf 'vxf9n471bn46requester@example.com/foobob@example.com/bar' | sha1sum */
	ck_assert_int_eq(read_query("requester@example.com/foo",
	                            QUERY("vxf9n471bn46", "bob@example.com/bar")),
	                 0);
	ck_assert_str_eq(bytestream.hash, "06eb791882d5fedd5e30bc36750cb672b5082eef");
	ck_assert_str_eq(bytestream.requester.local, "requester");
	ck_assert_str_eq(bytestream.target.resource, "bar");
}
END_TEST

START_TEST(jids_are_prepared_before_they_are_hashed)
{
	struct bytestream plain;

	ck_assert_int_eq(
	        read_query("requester@example.com/Foo", QUERY("sid", "room@muc.example.com/Nick")),
	        0);
	plain = bytestream;
	ck_assert_int_eq(read_query("REQUESTER@Example.COM/Foo",
	                            QUERY("sid", "\n  Room@MUC.example.com./Nick\t\n")),
	                 0);
	ck_assert_str_eq(bytestream.hash, plain.hash);
	ck_assert_int_eq(
	        read_query("requester@example.com/foo", QUERY("sid", "room@muc.example.com/Nick")),
	        0);
	ck_assert_str_ne(bytestream.hash, plain.hash);
}
END_TEST

START_TEST(bare_jids_and_domains_are_parties_too)
{
	ck_assert_int_eq(read_query("a@x", QUERY("sid", "y")), 0);
	/* printf sida@xy | sha1sum */
	ck_assert_str_eq(bytestream.hash, "b3c82fd39de5e13ac2e3fc83557ba1cae413b949");
}
END_TEST

START_TEST(what_is_missing_or_malformed_has_its_condition)
{
	char sid[SID_MAX + 2] = "";
	char *query;

	is_refused("a@x/r", "<query xmlns='" BYTESTREAMS_NS "'><activate>b@x/r</activate></query>",
	           IQ_BAD_REQUEST);
	is_refused("a@x/r", "<query xmlns='" BYTESTREAMS_NS "' sid='1'/>", IQ_BAD_REQUEST);
	is_refused("a@x/r", QUERY("", "b@x/r"), IQ_BAD_REQUEST);
	is_refused("a@x/r", QUERY("1", ""), IQ_JID_MALFORMED);
	is_refused("a@x/r", QUERY("1", "b c@x/r"), IQ_JID_MALFORMED);
	is_refused("a@x/r", QUERY("1", "@x"), IQ_JID_MALFORMED);
	memset(sid, 's', SID_MAX + 1);
	query = mem_printf("<query xmlns='" BYTESTREAMS_NS "' sid='%s'><activate>b@x</activate>"
	                   "</query>",
	                   sid);
	is_refused("a@x/r", query, IQ_BAD_REQUEST);
	free(query);
	query = mem_printf("<query xmlns='" BYTESTREAMS_NS "' sid='%s'><activate>b@x</activate>"
	                   "</query>",
	                   sid + 1);
	ck_assert_int_eq(read_query("a@x/r", query), 0);
	free(query);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_hash_is_sha1_of_sid_requester_and_target,
		jids_are_prepared_before_they_are_hashed,
		bare_jids_and_domains_are_parties_too,
		what_is_missing_or_malformed_has_its_condition,
	};

	return unit_run("bytestreams", tests, ARRAY_LEN(tests), NULL, NULL);
}
