#include "common/base/loop.h"

static int64_t wall_ms; /* what the clock says, which may be wrong and be set right */

static int64_t told_wall_ms(void)
{
	return wall_ms;
}
#define loop_wall_ms told_wall_ms
#include "pushd/credential/access_token.c"
#undef loop_wall_ms
#include "pushd/provider/apns.h"
#include "tests/unit/credentials.h"
#include "tests/unit/provider_section.h"
#include "tests/unit/unit.h"

#define NOW_MS INT64_C(1800000000000)
#define MINUTE_MS 60000

static char key_id[] = "KEY0000001", team_id[] = "TEAM000001", topic[] = "org.example.chat";
static union provider_section section;
static int changes;

static void on_changed(struct access_token_watch *told)
{
	changes++;
}

static struct access_token_watch watch = { .changed = on_changed };

/* ---- the store, in whose place the tests answer ---- */

static struct {
	bool there;
	char asked[64]; /* what was asked last: the call, and the kind of key */
} store;

bool sealed_store_usable(void)
{
	return store.there;
}

/* Of NAME, "push:KIND:FINGERPRINT", the kind is kept. */
static void note(const char *what, const char *name)
{
	const char *kind = strchr(name, ':') + 1;

	snprintf(store.asked, sizeof(store.asked), "%s %.*s", what, (int)strcspn(kind, ":"), kind);
}

void sealed_store_get(struct sealed_store_call *call, const char *name)
{
	note("get", name);
}

void sealed_store_put(struct sealed_store_call *call, const char *name, const char *text,
                      int64_t life_ms)
{
	note("put", name);
}

void sealed_store_remove(struct sealed_store_call *call, const char *name)
{
	note("remove", name);
}

void sealed_store_lock(struct sealed_store_call *call, const char *name, int64_t life_ms)
{
	note("lock", name);
}

void sealed_store_forget(struct sealed_store_call *call)
{
}

/* ---- before and after ---- */

static struct access_token *token;
static struct material *material;

static void setup(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	char *pem = credentials_key(key, NULL), *why = NULL;
	struct material_source source = { .bytes = pem, .len = strlen(pem) };
	struct apns_conf *own = provider_section_init(&section, "apns");
	struct credential_wanted wanted;

	loop_init();
	store.there = false;
	wall_ms = NOW_MS;
	own->topic = topic;
	own->key_id = key_id;
	own->team_id = team_id;
	wanted = provider_section_wants(&section);
	material = material_read(&wanted, &source, &why);
	ck_assert_msg(material != NULL, "%s", why);
	token = access_token_open(material, NULL, &section.provider, &watch);
	EVP_PKEY_free(key);
	free(pem);
}

static void teardown(void)
{
	access_token_close(token, &watch);
	material_release(material);
	loop_release();
}

/* Which token is shown now, counted from 1. */
static unsigned shown(void)
{
	unsigned generation = 0;

	ck_assert_ptr_nonnull(access_token_text(token, &generation));
	return generation;
}

START_TEST(a_token_is_kept_for_fifty_minutes)
{
	ck_assert_uint_eq(shown(), 1);
	wall_ms = NOW_MS + 50 * MINUTE_MS;
	ck_assert_uint_eq(shown(), 1);
	ck_assert_int_eq(changes, 0);
	wall_ms++;
	ck_assert_uint_eq(shown(), 2);
	ck_assert_int_eq(changes, 1);
}
END_TEST

START_TEST(a_refused_token_is_renewed_once_and_no_younger_than_twenty_minutes)
{
	ck_assert_uint_eq(shown(), 1);
	wall_ms = NOW_MS + 20 * MINUTE_MS;
	access_token_renew(token, 1);
	ck_assert_uint_eq(shown(), 1);
	wall_ms++;
	access_token_renew(token, 1);
	access_token_renew(token, 1);
	ck_assert_uint_eq(shown(), 2);
}
END_TEST

START_TEST(a_token_that_a_wrong_clock_has_dated_goes_once_the_clock_is_right)
{
	wall_ms = 1000; /* a machine without a clock of its own, before it has asked for the time */
	ck_assert_uint_eq(shown(), 2);
	wall_ms = NOW_MS;
	ck_assert_uint_eq(shown(), 3);
	wall_ms = NOW_MS - 2 * MINUTE_MS; /* it was ahead: the token is from the future */
	ck_assert_uint_eq(shown(), 4);
	wall_ms -= 500; /* as small corrections do */
	ck_assert_uint_eq(shown(), 4);
}
END_TEST

START_TEST(each_origin_may_have_a_token_of_its_own)
{
	struct access_token_watch watches[2] = { { .changed = on_changed },
		                                 { .changed = on_changed } };
	struct access_token *one, *same;

	one = access_token_open(material, "https://push.example", &section.provider, &watches[0]);
	ck_assert_ptr_ne(one, token);
	same = access_token_open(material, "https://push.example", &section.provider, &watches[1]);
	ck_assert_ptr_eq(same, one);
	access_token_close(one, &watches[0]);
	access_token_close(same, &watches[1]);
}
END_TEST

START_TEST(providers_with_the_same_key_share_one_token)
{
	struct access_token_watch second_watch = { .changed = on_changed };
	struct conf_provider second_provider = section.provider;
	struct access_token *second;
	unsigned generation;

	second = access_token_open(material, NULL, &second_provider, &second_watch);
	ck_assert_ptr_nonnull(access_token_text(second, &generation));
	ck_assert_uint_eq(generation, shown());
	access_token_close(second, &second_watch);
	ck_assert_uint_eq(shown(), 1);
}
END_TEST

/* ---- of a service account ---- */

static struct material *read_account(void)
{
	EVP_PKEY *rsa = EVP_RSA_gen(2048);
	char *pem = credentials_key(rsa, NULL), *text, *why = NULL;
	json_t *file = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "type", "service_account",
	                         "project_id", "p", "private_key_id", "k", "private_key", pem,
	                         "client_email", "fcm@p", "token_uri", "https://127.0.0.1:9/");
	union provider_section fcm;
	struct credential_wanted wanted;
	struct material_source source = { 0 };
	struct material *account;

	provider_section_init(&fcm, "fcm");
	wanted = provider_section_wants(&fcm);
	text = json_dumps(file, 0);
	source.bytes = text;
	source.len = strlen(text);
	account = material_read(&wanted, &source, &why);
	ck_assert_msg(account != NULL, "%s", why);
	free(text);
	free(pem);
	json_decref(file);
	EVP_PKEY_free(rsa);
	return account;
}

/* The endpoint gives TEXT, or nothing. */
static void answer(struct access_token *asking, const char *text, int64_t life_ms)
{
	http_release(&asking->endpoint.call);
	mem_free_secret(asking->endpoint.form);
	asking->endpoint.form = NULL;
	take_given(asking, text, life_ms);
}

START_TEST(an_access_token_whose_end_the_clock_has_leapt_over_is_renewed_at_once)
{
	struct material *account = read_account();
	struct access_token_watch own_watch = { .changed = on_changed };
	struct access_token *own = access_token_open(account, NULL, &section.provider, &own_watch);
	unsigned generation;

	answer(own, "ya29.first", 3600 * 1000);
	ck_assert_str_eq(access_token_text(own, &generation), "ya29.first");
	ck_assert_int_eq(own->step, STEP_IDLE);
	wall_ms += 3600 * 1000; /* the machine slept: its timers have, too */
	ck_assert_ptr_null(access_token_text(own, &generation));
	ck_assert_int_eq(own->step, STEP_MAKING);
	access_token_close(own, &own_watch);
	material_release(account);
}
END_TEST

START_TEST(late_answers_to_a_refused_token_do_not_shorten_the_wait_for_another)
{
	struct material *account = read_account();
	struct access_token_watch own_watch = { .changed = on_changed };
	struct access_token *own = access_token_open(account, NULL, &section.provider, &own_watch);
	unsigned generation;

	answer(own, "ya29.first", 3600 * 1000);
	ck_assert_ptr_nonnull(access_token_text(own, &generation));
	access_token_renew(own, generation);
	ck_assert_int_eq(own->step, STEP_MAKING);
	answer(own, NULL, 0);
	ck_assert_int_eq(own->step, STEP_LATER);
	access_token_renew(own, generation);
	ck_assert_int_eq(own->step, STEP_LATER);
	access_token_close(own, &own_watch);
	material_release(account);
}
END_TEST

START_TEST(late_answers_to_an_old_token_leave_the_new_one)
{
	struct material *account = read_account();
	struct access_token_watch own_watch = { .changed = on_changed };
	struct access_token *own = access_token_open(account, NULL, &section.provider, &own_watch);
	unsigned first, second;

	answer(own, "ya29.first", 3600 * 1000);
	ck_assert_ptr_nonnull(access_token_text(own, &first));
	access_token_renew(own, first);
	ck_assert_int_eq(own->step, STEP_MAKING);
	answer(own, "ya29.second", 3600 * 1000);
	access_token_renew(own, first);
	ck_assert_int_eq(own->step, STEP_IDLE);
	ck_assert_str_eq(access_token_text(own, &second), "ya29.second");
	access_token_close(own, &own_watch);
	material_release(account);
}
END_TEST

START_TEST(who_reaches_the_endpoint_in_another_way_has_a_token_of_its_own)
{
	char proxy[] = "http://127.0.0.1:3128";
	struct conf_provider behind = section.provider;
	struct material *account = read_account();
	struct access_token_watch watches[3] = { { .changed = on_changed },
		                                 { .changed = on_changed },
		                                 { .changed = on_changed } };
	struct access_token *direct =
	        access_token_open(account, NULL, &section.provider, &watches[0]);
	struct access_token *proxied, *same;

	behind.http_proxy = proxy;
	proxied = access_token_open(account, NULL, &behind, &watches[1]);
	same = access_token_open(account, NULL, &behind, &watches[2]);
	ck_assert_ptr_ne(proxied, direct);
	ck_assert_ptr_eq(proxied, same);
	access_token_close(direct, &watches[0]);
	access_token_close(proxied, &watches[1]);
	access_token_close(same, &watches[2]);
	material_release(account);
}
END_TEST

/* ---- shared through Redis, as far as a test says what it answers ---- */

/* A token of ACCOUNT that all pushd share, whose STEP comes first. */
static struct access_token *open_shared(struct material *account, struct access_token_watch *own)
{
	struct access_token *shared;

	store.there = true;
	shared = access_token_open(account, NULL, &section.provider, own);
	ck_assert_str_eq(store.asked, "get bearer");
	return shared;
}

static void say(struct access_token *asking, enum sealed_store_result result, const char *text)
{
	snprintf(store.asked, sizeof(store.asked), "nothing");
	asking->call.done(&asking->call, result, text);
}

/* The lock is ours, and the endpoint gives TEXT. */
static void make_it(struct access_token *asking, const char *text)
{
	say(asking, SEALED_NONE, NULL);
	ck_assert_str_eq(store.asked, "lock bearer-lock");
	say(asking, SEALED_DONE, NULL);
	ck_assert_int_eq(asking->step, STEP_MAKING);
	answer(asking, text, 3600 * 1000);
}

START_TEST(a_token_that_redis_may_not_have_is_not_used)
{
	struct material *account = read_account();
	struct access_token_watch own_watch = { .changed = on_changed };
	struct access_token *own = open_shared(account, &own_watch);
	unsigned generation;

	make_it(own, "ya29.first");
	ck_assert_str_eq(store.asked, "put bearer");
	say(own, SEALED_UNAVAILABLE, NULL);
	ck_assert_ptr_null(access_token_text(own, &generation));
	ck_assert_ptr_null(own->made);
	ck_assert_int_eq(own->step, STEP_LATER);
	ck_assert(timer_active(&own->again));
	renew(own);
	make_it(own, "ya29.second");
	say(own, SEALED_DONE, NULL);
	ck_assert_str_eq(access_token_text(own, &generation), "ya29.second");
	access_token_close(own, &own_watch);
	material_release(account);
}
END_TEST

START_TEST(after_a_failure_the_lock_goes_back_and_after_a_success_it_stays)
{
	struct material *account = read_account();
	struct access_token_watch own_watch = { .changed = on_changed };
	struct access_token *own = open_shared(account, &own_watch);

	make_it(own, NULL);
	ck_assert_str_eq(store.asked, "remove bearer-lock");
	say(own, SEALED_DONE, NULL);
	ck_assert_int_eq(own->step, STEP_LATER);
	renew(own);
	make_it(own, "ya29.first");
	say(own, SEALED_DONE, NULL);
	ck_assert_str_eq(store.asked, "nothing");
	access_token_close(own, &own_watch);
	material_release(account);
}
END_TEST

START_TEST(a_refused_token_is_not_taken_again_from_the_others)
{
	struct material *account = read_account();
	struct access_token_watch own_watch = { .changed = on_changed };
	struct access_token *own = open_shared(account, &own_watch);
	char *first = mem_printf("{\"token\":\"ya29.first\",\"made_ms\":%lld,\"ends_ms\":%lld}",
	                         (long long)NOW_MS, (long long)NOW_MS + 3600 * 1000);
	unsigned generation = 0;

	say(own, SEALED_DONE, first);
	ck_assert_str_eq(access_token_text(own, &generation), "ya29.first");
	access_token_renew(own, generation);
	ck_assert_str_eq(store.asked, "get bearer");
	say(own, SEALED_DONE, first);
	ck_assert_str_eq(store.asked, "lock bearer-lock");
	free(first);
	access_token_close(own, &own_watch);
	material_release(account);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_token_is_kept_for_fifty_minutes,
		a_refused_token_is_renewed_once_and_no_younger_than_twenty_minutes,
		a_token_that_a_wrong_clock_has_dated_goes_once_the_clock_is_right,
		each_origin_may_have_a_token_of_its_own,
		providers_with_the_same_key_share_one_token,
		an_access_token_whose_end_the_clock_has_leapt_over_is_renewed_at_once,
		late_answers_to_a_refused_token_do_not_shorten_the_wait_for_another,
		late_answers_to_an_old_token_leave_the_new_one,
		who_reaches_the_endpoint_in_another_way_has_a_token_of_its_own,
		a_token_that_redis_may_not_have_is_not_used,
		after_a_failure_the_lock_goes_back_and_after_a_success_it_stays,
		a_refused_token_is_not_taken_again_from_the_others,
	};

	return unit_run("access_token", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
