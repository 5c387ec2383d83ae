#include "relayd/fleet/claim.c"

#include <stdio.h>

#include "common/text/signature.h"
#include "tests/unit/relay_store.h"

#define NAME "0123456789abcdefabcdef0123456789abcdef01"
#define KEY "og:claim:" NAME

static uint8_t hash[SOCKS5_HASH_LEN];
static int settlings, losses;
static enum claim_outcome settled;
static char owner_id[64], owner_peering[64];

static void on_settled(struct claim *claim, enum claim_outcome outcome,
                       const struct claim_owner *owner)
{
	settlings++;
	settled = outcome;
	if (owner == NULL)
		return;
	snprintf(owner_id, sizeof(owner_id), "%s", owner->id);
	snprintf(owner_peering, sizeof(owner_peering), "%s",
	         owner->peering == NULL ? "(none)" : owner->peering);
}

static void on_lost(struct claim *claim)
{
	losses++;
	claim_drop(claim);
}

static struct claim claim = { .settled = on_settled, .lost = on_lost, .hash = hash };

static void setup(void)
{
	relay_store_setup();
	ck_assert_int_eq(socks5_hash_parse(NAME, SOCKS5_NAME_LEN, hash), 0);
	claim_module.start(&relay_conf);
}

static void teardown(void)
{
	claim_drop(&claim);
	claim_module.stop();
	relay_store_teardown();
}

static enum claim_outcome take(void)
{
	int before = settlings;

	ck_assert(!claim_take(&claim));
	WAIT_UNTIL(settlings > before);
	return settled;
}

static void renew(void)
{
	renew_all();
	WAIT_UNTIL(!redis_busy(&claims.call));
}

/* As another relay: relay_ask() would split the value at its blank. */
static void on_set(struct redis_call *call, const struct redisReply *reply)
{
	ck_assert_ptr_null(redis_reply_error(reply));
}

static void set(const char *key, const char *value, const char *life_ms)
{
	static struct redis_call call = { .done = on_set };

	redis_command(fleet_redis(), &call, "SET %s %s PX %s", key, value, life_ms);
	WAIT_UNTIL(!redis_busy(&call));
}

/* The record of relay-2, which started at EPOCH, signed by TOKEN. */
static void set_record(int epoch, const char *token)
{
	json_t *record = json_pack("{s:i, s:s}", "epoch", epoch, "peer", "192.0.2.2:7651");
	char *text;

	claims.token = "token-of-the-tests";
	json_object_set_new(record, "at_ms", json_integer(loop_wall_ms()));
	signature_put(record, token, "relay:relay-2");
	text = json_dumps(record, JSON_COMPACT);
	set("og:registry:relay:relay-2", text, "60000");
	free(text);
	json_decref(record);
}

START_TEST(a_hash_that_nobody_has_is_ours)
{
	ck_assert_int_eq(take(), CLAIM_OURS);
	relay_expect(claims.value, "GET " KEY);
	ck_assert_int_gt(strtol(relay_ask("PTTL " KEY), NULL, 10), 30000);
	ck_assert_uint_eq(claims.renewed_count, 1);
}
END_TEST

START_TEST(a_hash_of_a_relay_that_is_there_is_elsewhere)
{
	set(KEY, "relay-2 7", "60000");
	set_record(7, "token-of-the-tests");
	ck_assert_int_eq(take(), CLAIM_ELSEWHERE);
	ck_assert_str_eq(owner_id, "relay-2");
	ck_assert_str_eq(owner_peering, "192.0.2.2:7651");
	ck_assert_uint_eq(claims.renewed_count, 0);
}
END_TEST

START_TEST(the_address_of_a_relay_whose_record_the_fleet_did_not_sign_is_not_believed)
{
	set(KEY, "relay-2 7", "60000");
	set_record(7, "token-of-somebody-else");
	ck_assert_int_eq(take(), CLAIM_ELSEWHERE);
	ck_assert_str_eq(owner_id, "relay-2");
	ck_assert_str_eq(owner_peering, "(none)");
}
END_TEST

START_TEST(a_relay_that_has_started_anew_has_lost_its_claims)
{
	set(KEY, "relay-2 7", "60000");
	set("og:registry:relay:relay-2", "{\"epoch\":8}", "60000");
	ck_assert_int_eq(take(), CLAIM_OURS);
}
END_TEST

/* It has started anew, and waits for the record of its earlier self to expire. */
START_TEST(a_relay_whose_record_is_of_an_earlier_self_keeps_its_claims)
{
	set(KEY, "relay-2 7", "50000");
	set_record(6, "token-of-the-tests");
	ck_assert_int_eq(take(), CLAIM_ELSEWHERE);
	ck_assert_str_eq(owner_peering, "192.0.2.2:7651");
}
END_TEST

START_TEST(a_relay_without_a_record_keeps_claims_that_it_has_just_renewed)
{
	set(KEY, "relay-2 7", "50000");
	ck_assert_int_eq(take(), CLAIM_ELSEWHERE);
	ck_assert_str_eq(owner_peering, "(none)");
}
END_TEST

START_TEST(a_relay_without_a_record_that_has_missed_a_renewal_has_lost_them)
{
	set(KEY, "relay-2 7", "20000");
	ck_assert_int_eq(take(), CLAIM_OURS);
	relay_expect(claims.value, "GET " KEY);
}
END_TEST

START_TEST(a_claim_that_ran_out_is_taken_again_at_its_renewal)
{
	ck_assert_int_eq(take(), CLAIM_OURS);
	relay_ask("DEL " KEY);
	renew();
	relay_expect(claims.value, "GET " KEY);
	ck_assert_int_eq(losses, 0);
}
END_TEST

START_TEST(after_an_outage_claims_are_renewed_at_once)
{
	ck_assert_int_eq(take(), CLAIM_OURS);
	timer_stop(&claims.timer);
	redis_server_kill(&relay_server);
	WAIT_UNTIL(!redis_connected(fleet_redis()) && !redis_busy(&claims.call));
	redis_server_start(&relay_server);
	WAIT_UNTIL(redis_connected(fleet_redis()));
	WAIT_UNTIL(!redis_busy(&claims.call));
	relay_expect(claims.value, "GET " KEY);
}
END_TEST

START_TEST(a_claim_that_another_relay_has_taken_is_lost)
{
	ck_assert_int_eq(take(), CLAIM_OURS);
	set(KEY, "relay-2 7", "60000");
	renew();
	ck_assert_int_eq(losses, 1);
	ck_assert_uint_eq(claims.renewed_count, 0);
	WAIT_UNTIL(list_empty(&claims.removals));
	relay_expect("relay-2 7", "GET " KEY); /* which it doesn't lose by our dropping it */
}
END_TEST

START_TEST(a_claim_that_rests_is_neither_renewed_nor_lost)
{
	ck_assert_int_eq(take(), CLAIM_OURS);
	set(KEY, "relay-2 7", "60000");
	renew_all();
	claim_rest(&claim); /* in the middle of the round */
	WAIT_UNTIL(!redis_busy(&claims.call));
	ck_assert_int_eq(losses, 0);
	relay_ask("DEL " KEY);
	renew();
	relay_expect("(nil)", "GET " KEY);
}
END_TEST

START_TEST(a_dropped_claim_is_removed)
{
	ck_assert_int_eq(take(), CLAIM_OURS);
	claim_drop(&claim);
	WAIT_UNTIL(list_empty(&claims.removals));
	relay_expect("(nil)", "GET " KEY);
}
END_TEST

START_TEST(a_claim_that_is_dropped_in_time_is_never_settled)
{
	ck_assert(!claim_take(&claim));
	claim_drop(&claim);
	WAIT_UNTIL(list_empty(&claims.removals));
	ck_assert_int_eq(settlings, 0);
	relay_expect("(nil)", "GET " KEY);
}
END_TEST

START_TEST(without_an_answer_of_redis_it_is_unknown)
{
	redis_server_kill(&relay_server);
	ck_assert_int_eq(take(), CLAIM_UNKNOWN);
}
END_TEST

START_TEST(rounds_of_more_claims_than_a_batch_renew_all)
{
	static struct claim many[RENEW_BATCH + 10];
	static uint8_t hashes[RENEW_BATCH + 10][SOCKS5_HASH_LEN];
	char command[128];

	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		hashes[i][0] = (uint8_t)i;
		hashes[i][1] = (uint8_t)(i >> 8);
		many[i] = (struct claim){ on_settled, on_lost, .hash = hashes[i] };
		ck_assert(!claim_take(&many[i]));
	}
	WAIT_UNTIL(settlings == ARRAY_LEN(many));
	relay_ask("FLUSHALL");
	renew();
	snprintf(command, sizeof(command), "%zu", ARRAY_LEN(many));
	ck_assert_str_eq(relay_ask("DBSIZE"), command);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		claim_drop(&many[i]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_hash_that_nobody_has_is_ours,
		a_hash_of_a_relay_that_is_there_is_elsewhere,
		the_address_of_a_relay_whose_record_the_fleet_did_not_sign_is_not_believed,
		a_relay_that_has_started_anew_has_lost_its_claims,
		a_relay_whose_record_is_of_an_earlier_self_keeps_its_claims,
		a_relay_without_a_record_keeps_claims_that_it_has_just_renewed,
		a_relay_without_a_record_that_has_missed_a_renewal_has_lost_them,
		a_claim_that_ran_out_is_taken_again_at_its_renewal,
		after_an_outage_claims_are_renewed_at_once,
		a_claim_that_another_relay_has_taken_is_lost,
		a_claim_that_rests_is_neither_renewed_nor_lost,
		a_dropped_claim_is_removed,
		a_claim_that_is_dropped_in_time_is_never_settled,
		without_an_answer_of_redis_it_is_unknown,
		rounds_of_more_claims_than_a_batch_renew_all,
	};

	return unit_run("claim", tests, ARRAY_LEN(tests), setup, teardown);
}
