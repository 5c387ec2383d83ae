#include "relayd/wire/peering.c"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

#define NAME "0123456789abcdefabcdef0123456789abcdef01"
#define SECRET "the fleet's own"

static const uint8_t nonce[PEERING_NONCE_LEN] = "31 bytes of a nonce, and a NUL.";
static const uint8_t ours[PEERING_NONCE_LEN + 1] = "32 bytes of the bridging relay's";
static const struct peering_key key = { SECRET, "relay-1" };
static uint8_t challenge[PEERING_CHALLENGE_LEN], request[PEERING_REQUEST_LEN],
        grant[PEERING_GRANT_LEN], hash[SOCKS5_HASH_LEN];

static void setup(void)
{
	ck_assert_int_eq(socks5_hash_parse(NAME, 40, hash), 0);
	peering_challenge(challenge, nonce);
	peering_request(request, challenge, ours, hash, &key);
	peering_grant(grant, request, challenge, &key);
}

static struct parse read_reply(const uint8_t *bytes, size_t len)
{
	return peering_read_reply(bytes, len, grant);
}

typedef struct parse reader(const uint8_t *bytes, size_t len);

/* Feeds BYTES one at a time, as a caller does that reads no more than is asked for. */
static struct parse feed(reader *read, const void *bytes, size_t len, size_t *used)
{
	struct parse parse = read(bytes, 0);

	*used = 0;
	while (parse.status == PARSE_MORE && *used < len) {
		ck_assert_uint_gt(parse.need, *used);
		parse = read(bytes, ++*used);
	}
	return parse;
}

/* Done with its last byte, and with none behind it. */
static void check_done(reader *read, const void *bytes, size_t len)
{
	size_t used;

	ck_assert_int_eq(feed(read, bytes, len, &used).status, PARSE_DONE);
	ck_assert_uint_eq(used, len);
}

/* Refused at byte PLACE, counted from 1. */
static void check_refused(reader *read, const char *bytes, size_t place, enum parse_fault fault)
{
	size_t used;
	struct parse fed = feed(read, bytes, place, &used);

	ck_assert_int_eq(fed.status, PARSE_BAD);
	ck_assert_int_eq(fed.fault, fault);
	ck_assert_uint_eq(used, place);
}

START_TEST(the_bytes_are_those_of_the_protocol)
{
	ck_assert_mem_eq(peering_greeting, "\x05\x01\x81", 3);
	ck_assert_mem_eq(challenge, "\x05\x81", 2);
	ck_assert_mem_eq(challenge + 2, nonce, PEERING_NONCE_LEN);
	ck_assert_mem_eq(request, ours, PEERING_NONCE_LEN);
	ck_assert_mem_eq(grant, "\x05\x00\x00\x03\x28" NAME "\0\0", SOCKS5_GRANT_LEN);
	ck_assert_mem_eq(request + PEERING_HEAD_LEN, "\x05\x01\x00\x03\x28" NAME "\0\0",
	                 SOCKS5_REQUEST_LEN);
}
END_TEST

static void check_proof(const uint8_t *proof, const char *expected)
{
	char text[2 * PEERING_PROOF_LEN + 1];

	for (int i = 0; i < PEERING_PROOF_LEN; i++)
		snprintf(text + 2 * i, 3, "%02x", proof[i]);
	ck_assert_str_eq(text, expected);
}

/* openssl dgst -sha256 -hmac SECRET, of the letter, both nonces, NAME and "relay-1" */
START_TEST(the_proofs_are_the_hmacs_of_letter_nonces_name_and_owner)
{
	uint8_t proof[PEERING_PROOF_LEN];

	check_proof(request + PEERING_NONCE_LEN,
	            "279021ea5fdc80ba18548577f4cd10a591183f38334e8336e18c714075331759");
	check_proof(grant + SOCKS5_GRANT_LEN,
	            "31a4a386bc784360006c388fe044a2100b1ab08b59c1d203536e1c765c3b27a3");
	peering_owner_proof(proof, request, nonce, &key);
	ck_assert_mem_eq(proof, grant + SOCKS5_GRANT_LEN, PEERING_PROOF_LEN);
}
END_TEST

START_TEST(each_end_reads_what_the_other_writes)
{
	check_done(peering_read_greeting, "\x05\x01\x81", 3);
	check_done(peering_read_challenge, challenge, sizeof(challenge));
	check_done(peering_read_request, request, sizeof(request));
	check_done(read_reply, grant, sizeof(grant));
}
END_TEST

START_TEST(only_the_one_greeting_is_accepted)
{
	check_refused(peering_read_greeting, "\x05\x01\x00", 3, PARSE_NO_METHOD);
	check_refused(peering_read_greeting, "\x05\x02\x00", 2, PARSE_NO_METHOD);
	check_refused(peering_read_greeting, "\x05\x00", 2, PARSE_NO_METHOD);
	check_refused(peering_read_greeting, "\x04\x01", 1, PARSE_BAD_VERSION);
	check_refused(peering_read_greeting, "GET /", 1, PARSE_BAD_VERSION);
}
END_TEST

static bool is_right(const char *secret, const char *owner, const uint8_t *challenged)
{
	return peering_proof_is_right(request, challenged, &(struct peering_key){ secret, owner });
}

START_TEST(a_proof_holds_for_its_nonces_hash_owner_and_secret_alone)
{
	uint8_t other[PEERING_NONCE_LEN] = { 0 };

	ck_assert(is_right(SECRET, "relay-1", nonce));
	ck_assert(!is_right("another", "relay-1", nonce));
	ck_assert(!is_right("", "relay-1", nonce));
	ck_assert(!is_right(SECRET, "relay-2", nonce));
	ck_assert(!is_right(SECRET, "relay-11", nonce));
	ck_assert(!is_right(SECRET, "relay-1", other));
	request[PEERING_HEAD_LEN + HEAD_LEN] ^= 1;
	ck_assert(!is_right(SECRET, "relay-1", nonce));
	request[PEERING_HEAD_LEN + HEAD_LEN] ^= 1;
	for (int i = 0; i < PEERING_HEAD_LEN; i++) {
		request[i] ^= 0x10;
		ck_assert(!is_right(SECRET, "relay-1", nonce));
		request[i] ^= 0x10;
	}
}
END_TEST

START_TEST(a_grant_holds_with_the_owners_proof_alone)
{
	uint8_t bytes[PEERING_GRANT_LEN];

	for (int i = 0; i < PEERING_PROOF_LEN; i++) {
		memcpy(bytes, grant, sizeof(bytes));
		bytes[SOCKS5_GRANT_LEN + i] ^= 1;
		check_refused(read_reply, (const char *)bytes, sizeof(bytes), PARSE_BAD_VERSION);
	}
	memcpy(bytes + SOCKS5_GRANT_LEN, request + PEERING_NONCE_LEN, PEERING_PROOF_LEN);
	check_refused(read_reply, (const char *)bytes, sizeof(bytes), PARSE_BAD_VERSION);
}
END_TEST

START_TEST(what_follows_the_proof_is_a_request_like_any_other)
{
	size_t used;
	char bad[PEERING_REQUEST_LEN] = { 0 };

	memcpy(bad + PEERING_HEAD_LEN, "\x05\x02\x00\x03\x28", 5);
	ck_assert_int_eq(feed(peering_read_request, bad, sizeof(bad), &used).fault,
	                 PARSE_BAD_COMMAND);
	memcpy(bad + PEERING_HEAD_LEN, "\x05\x01\x00\x03\x0b", 5);
	ck_assert_int_eq(feed(peering_read_request, bad, sizeof(bad), &used).fault, PARSE_BAD_NAME);
	ck_assert_uint_eq(used, PEERING_HEAD_LEN + 5);
	/* The proof may be any bytes. */
	memset(bad, 0xff, PEERING_HEAD_LEN);
	memcpy(bad + PEERING_HEAD_LEN, request + PEERING_HEAD_LEN, SOCKS5_REQUEST_LEN);
	check_done(peering_read_request, bad, sizeof(bad));
}
END_TEST

START_TEST(a_name_in_upper_case_has_the_same_proof)
{
	for (int i = 0; i < SOCKS5_NAME_LEN; i++) {
		uint8_t *c = &request[PEERING_HEAD_LEN + HEAD_LEN + i];

		if (*c >= 'a')
			*c = (uint8_t)(*c - 'a' + 'A');
	}
	ck_assert(is_right(SECRET, "relay-1", nonce));
}
END_TEST

START_TEST(a_challenge_that_is_none_is_told_from_a_refusal)
{
	check_refused(peering_read_challenge, "\x05\xff", 2, PARSE_NO_METHOD);
	check_refused(peering_read_challenge, "\x05\x00", 2, PARSE_NO_METHOD);
	check_refused(peering_read_challenge, "HTTP/1.1 400", 1, PARSE_BAD_VERSION);
	ck_assert_uint_eq(peering_read_challenge((const uint8_t *)"\x05\x81", 2).need,
	                  PEERING_CHALLENGE_LEN);
}
END_TEST

START_TEST(a_reply_grants_refuses_or_is_none)
{
	static const uint8_t other[2] = { 0x05, 0xff };

	check_refused(read_reply, "\x05\x02\x00\x01\0\0\0\0\0\0", 2, PARSE_REFUSED);
	check_refused(read_reply, "\x05\x01\x00\x01\0\0\0\0\0\0", 2, PARSE_REFUSED);
	check_refused(read_reply, (const char *)other, 2, PARSE_REFUSED);
	ck_assert_uint_eq(read_reply((const uint8_t *)"\x05\x02", 2).reply, SOCKS5_NOT_ALLOWED);
	ck_assert_uint_eq(read_reply(other, 2).reply, 0xff);
	check_refused(read_reply, "SSH-2.0", 1, PARSE_BAD_VERSION);
	check_refused(read_reply, "\x05\x00\x00\x01", 4, PARSE_BAD_VERSION);
	check_refused(read_reply,
	              "\x05\x00\x00\x03\x28"
	              "1",
	              6, PARSE_BAD_VERSION);
}
END_TEST

START_TEST(a_reply_asks_for_no_byte_behind_it)
{
	ck_assert_uint_eq(read_reply((const uint8_t *)"", 0).need, 2);
	ck_assert_uint_eq(read_reply(grant, 2).need, PEERING_GRANT_LEN);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_bytes_are_those_of_the_protocol,
		the_proofs_are_the_hmacs_of_letter_nonces_name_and_owner,
		each_end_reads_what_the_other_writes,
		only_the_one_greeting_is_accepted,
		a_proof_holds_for_its_nonces_hash_owner_and_secret_alone,
		a_grant_holds_with_the_owners_proof_alone,
		what_follows_the_proof_is_a_request_like_any_other,
		a_name_in_upper_case_has_the_same_proof,
		a_challenge_that_is_none_is_told_from_a_refusal,
		a_reply_grants_refuses_or_is_none,
		a_reply_asks_for_no_byte_behind_it,
	};

	return unit_run("peer", tests, ARRAY_LEN(tests), setup, NULL);
}
