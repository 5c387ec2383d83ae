#include "relayd/wire/peer.c"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

#define NAME "0123456789abcdefabcdef0123456789abcdef01"
#define SECRET "the fleet's own"

static const uint8_t nonce[PEER_NONCE_LEN] = "31 bytes of a nonce, and a NUL.";
static uint8_t challenge[PEER_CHALLENGE_LEN], request[PEER_REQUEST_LEN], hash[SOCKS5_HASH_LEN];

static void setup(void)
{
	ck_assert_int_eq(socks5_hash_parse(NAME, 40, hash), 0);
	peer_challenge(challenge, nonce);
	peer_request(request, challenge, hash, SECRET);
}

static struct socks5_answer read_reply(const uint8_t *bytes, size_t len)
{
	return peer_read_reply(bytes, len, request);
}

typedef struct socks5_answer reader(const uint8_t *bytes, size_t len);

/* Feeds BYTES one at a time, as a caller does that reads no more than is asked for. */
static struct socks5_answer feed(reader *read, const void *bytes, size_t len, size_t *used)
{
	struct socks5_answer answer = read(bytes, 0);

	*used = 0;
	while (answer.status == SOCKS5_MORE && *used < len) {
		ck_assert_uint_gt(answer.need, *used);
		answer = read(bytes, ++*used);
	}
	return answer;
}

/* Done with its last byte, and with none behind it. */
static void check_done(reader *read, const void *bytes, size_t len)
{
	size_t used;

	ck_assert_int_eq(feed(read, bytes, len, &used).status, SOCKS5_DONE);
	ck_assert_uint_eq(used, len);
}

/* Refused at byte PLACE, counted from 1. */
static void check_refused(reader *read, const char *bytes, size_t place,
                          enum socks5_refusal refusal)
{
	size_t used;
	struct socks5_answer fed = feed(read, bytes, place, &used);

	ck_assert_int_eq(fed.status, SOCKS5_REFUSED);
	ck_assert_int_eq(fed.refusal, refusal);
	ck_assert_uint_eq(used, place);
}

START_TEST(the_bytes_are_those_of_the_protocol)
{
	uint8_t greeting[PEER_GREETING_LEN];

	peer_greeting(greeting);
	ck_assert_mem_eq(greeting, "\x05\x01\x80", 3);
	ck_assert_mem_eq(challenge, "\x05\x80", 2);
	ck_assert_mem_eq(challenge + 2, nonce, PEER_NONCE_LEN);
	ck_assert_mem_eq(request + PEER_PROOF_LEN, "\x05\x01\x00\x03\x28" NAME "\0\0",
	                 SOCKS5_REQUEST_LEN);
}
END_TEST

START_TEST(the_proof_is_the_hmac_of_nonce_and_name)
{
	/* openssl dgst -sha256 -hmac SECRET, of the nonce with NAME behind it */
	static const char expected[] =
	        "fa51c85b317b1bf3493aaa500d5015c79824b690934b2a61bf090fcf1101b901";
	char text[2 * PEER_PROOF_LEN + 1];

	for (int i = 0; i < PEER_PROOF_LEN; i++)
		snprintf(text + 2 * i, 3, "%02x", request[i]);
	ck_assert_str_eq(text, expected);
}
END_TEST

START_TEST(each_end_reads_what_the_other_writes)
{
	uint8_t grant[SOCKS5_GRANT_LEN];

	socks5_grant_reply(grant, request + PEER_PROOF_LEN);
	check_done(peer_read_greeting, "\x05\x01\x80", 3);
	check_done(peer_read_challenge, challenge, sizeof(challenge));
	check_done(peer_read_request, request, sizeof(request));
	check_done(read_reply, grant, sizeof(grant));
}
END_TEST

START_TEST(only_the_one_greeting_is_accepted)
{
	check_refused(peer_read_greeting, "\x05\x01\x00", 3, SOCKS5_NO_METHOD);
	check_refused(peer_read_greeting, "\x05\x02\x00", 2, SOCKS5_NO_METHOD);
	check_refused(peer_read_greeting, "\x05\x00", 2, SOCKS5_NO_METHOD);
	check_refused(peer_read_greeting, "\x04\x01", 1, SOCKS5_BAD_VERSION);
	check_refused(peer_read_greeting, "GET /", 1, SOCKS5_BAD_VERSION);
}
END_TEST

START_TEST(a_proof_holds_for_its_nonce_hash_and_secret_alone)
{
	uint8_t other[PEER_NONCE_LEN] = { 0 };

	ck_assert(peer_proof_is_right(request, nonce, SECRET));
	ck_assert(!peer_proof_is_right(request, nonce, "another"));
	ck_assert(!peer_proof_is_right(request, nonce, ""));
	ck_assert(!peer_proof_is_right(request, other, SECRET));
	request[PEER_PROOF_LEN + HEAD_LEN] ^= 1;
	ck_assert(!peer_proof_is_right(request, nonce, SECRET));
	request[PEER_PROOF_LEN + HEAD_LEN] ^= 1;
	for (int i = 0; i < PEER_PROOF_LEN; i++) {
		request[i] ^= 0x10;
		ck_assert(!peer_proof_is_right(request, nonce, SECRET));
		request[i] ^= 0x10;
	}
}
END_TEST

START_TEST(what_follows_the_proof_is_a_request_like_any_other)
{
	size_t used;
	char bad[PEER_REQUEST_LEN] = { 0 };

	memcpy(bad + PEER_PROOF_LEN, "\x05\x02\x00\x03\x28", 5);
	ck_assert_int_eq(feed(peer_read_request, bad, sizeof(bad), &used).refusal,
	                 SOCKS5_BAD_COMMAND);
	memcpy(bad + PEER_PROOF_LEN, "\x05\x01\x00\x03\x0b", 5);
	ck_assert_int_eq(feed(peer_read_request, bad, sizeof(bad), &used).refusal, SOCKS5_BAD_NAME);
	ck_assert_uint_eq(used, PEER_PROOF_LEN + 5);
	/* The proof may be any bytes. */
	memset(bad, 0xff, PEER_PROOF_LEN);
	memcpy(bad + PEER_PROOF_LEN, request + PEER_PROOF_LEN, SOCKS5_REQUEST_LEN);
	check_done(peer_read_request, bad, sizeof(bad));
}
END_TEST

START_TEST(a_name_in_upper_case_has_the_same_proof)
{
	for (int i = 0; i < SOCKS5_NAME_LEN; i++) {
		uint8_t *c = &request[PEER_PROOF_LEN + HEAD_LEN + i];

		if (*c >= 'a')
			*c = (uint8_t)(*c - 'a' + 'A');
	}
	ck_assert(peer_proof_is_right(request, nonce, SECRET));
}
END_TEST

START_TEST(a_challenge_that_is_none_is_told_from_a_refusal)
{
	check_refused(peer_read_challenge, "\x05\xff", 2, SOCKS5_NO_METHOD);
	check_refused(peer_read_challenge, "\x05\x00", 2, SOCKS5_NO_METHOD);
	check_refused(peer_read_challenge, "HTTP/1.1 400", 1, SOCKS5_BAD_VERSION);
	ck_assert_uint_eq(peer_read_challenge((const uint8_t *)"\x05\x80", 2).need,
	                  PEER_CHALLENGE_LEN);
}
END_TEST

START_TEST(a_reply_grants_refuses_or_is_none)
{
	check_refused(read_reply, "\x05\x02\x00\x01\0\0\0\0\0\0", 2, SOCKS5_THIRD_HALF);
	check_refused(read_reply, "\x05\x01\x00\x01\0\0\0\0\0\0", 2, SOCKS5_NOT_OWNED);
	check_refused(read_reply, "\x05\xff", 2, SOCKS5_NOT_OWNED);
	check_refused(read_reply, "SSH-2.0", 1, SOCKS5_BAD_VERSION);
	check_refused(read_reply, "\x05\x00\x00\x01", 4, SOCKS5_BAD_VERSION);
	check_refused(read_reply,
	              "\x05\x00\x00\x03\x28"
	              "1",
	              6, SOCKS5_BAD_VERSION);
}
END_TEST

START_TEST(a_reply_asks_for_no_byte_behind_it)
{
	ck_assert_uint_eq(read_reply((const uint8_t *)"", 0).need, 2);
	ck_assert_uint_eq(read_reply((const uint8_t *)"\x05\x00", 2).need, SOCKS5_GRANT_LEN);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_bytes_are_those_of_the_protocol,
		the_proof_is_the_hmac_of_nonce_and_name,
		each_end_reads_what_the_other_writes,
		only_the_one_greeting_is_accepted,
		a_proof_holds_for_its_nonce_hash_and_secret_alone,
		what_follows_the_proof_is_a_request_like_any_other,
		a_name_in_upper_case_has_the_same_proof,
		a_challenge_that_is_none_is_told_from_a_refusal,
		a_reply_grants_refuses_or_is_none,
		a_reply_asks_for_no_byte_behind_it,
	};

	return unit_run("peer", tests, ARRAY_LEN(tests), setup, NULL);
}
