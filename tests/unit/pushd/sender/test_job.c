#include "pushd/sender/job.c"

#include <stdio.h>
#include <string.h>

#include "pushd/provider/apns.h"
#include "pushd/provider/fcm.h"
#include "pushd/provider/kinds.h"
#include "tests/unit/unit.h"

static char topic[] = "org.example.chat", project[] = "proj-1";
static const struct apns_conf apns = { .topic = topic };
static const struct fcm_conf fcm = { .project_id = project };
static struct notification notification;
static struct device device;
static struct job job;

static void setup(void)
{
	loop_init();
	notification = (struct notification){ .summary = true,
		                              .count = 3,
		                              .pending = NOTIFICATION_ABSENT,
		                              .sender = "juliet@example.org/balcony",
		                              .body = "hello" };
	device = (struct device){ .node = "0123456789abcdef0123456789abcdef",
		                  .token = "aabb",
		                  .second_token = "ccdd",
		                  .account = "romeo@example.org",
		                  .dialect = "tigase" };
	job = (struct job){ .notification = &notification,
		            .device = &device,
		            .priority = PRIORITY_HIGH,
		            .id = "11111111-2222-4333-8444-555555555555" };
}

static void teardown(void)
{
	arena_release(&job.arena);
	loop_release();
}

static void build_for(const struct provider_kind *kind)
{
	const struct provider_settings settings = {
		.endpoint = "https://provider.example",
		.own = kind == &apns_kind ? (const void *)&apns : &fcm,
		.expiry_s = 86400,
	};

	ck_assert_int_eq(job_build(&job, kind, &settings, "BEARER"), 0);
}

static bool body_has(const char *text)
{
	return memmem(job.request.body, job.request.body_len, text, strlen(text)) != NULL;
}

static const char *header(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; job.request.headers[i] != NULL; i++)
		if (strncmp(job.request.headers[i], name, len) == 0 &&
		    job.request.headers[i][len] == ':')
			return job.request.headers[i] + len + 2;
	return NULL;
}

START_TEST(a_device_of_tigases_dialect_is_told_all)
{
	build_for(provider_kinds[0]);
	ck_assert(body_has("romeo@example.org") && body_has("juliet@example.org/balcony"));
	ck_assert(body_has("hello") && body_has("\"unread-messages\":3"));
}
END_TEST

START_TEST(a_device_that_hides_its_owner_is_told_the_accounts_hash_alone)
{
	device.dialect = "p2";
	device.account = "92afd7a91cdba9a0a02c5f1dd80d85d1c26ae0a1";
	for (size_t i = 0; provider_kinds[i] != NULL; i++) {
		build_for(provider_kinds[i]);
		ck_assert(body_has(device.account));
		ck_assert(!body_has("juliet") && !body_has("hello") && !body_has("unread"));
	}
}
END_TEST

START_TEST(a_device_that_its_domain_owns_is_told_nothing_at_all)
{
	device.dialect = "fpush";
	device.account = "example.org";
	build_for(provider_kinds[0]);
	ck_assert(!body_has("account") && !body_has("example.org") && !body_has("hello"));
	ck_assert_msg(body_has("mutable-content"), "the app's extension fetches the rest");
}
END_TEST

START_TEST(each_attempt_expires_when_the_first_would_have)
{
	char expected[32];
	const char *first;

	job.expires_s = loop_wall_ms() / 1000 + 100;
	snprintf(expected, sizeof(expected), "%lld", (long long)job.expires_s);
	build_for(provider_kinds[0]);
	first = header("apns-expiration");
	ck_assert_str_eq(first, expected);
	build_for(provider_kinds[1]);
	ck_assert(body_has("\"ttl\":\"100s\"") || body_has("\"ttl\":\"99s\""));
	job.expires_s = 0;
	build_for(provider_kinds[0]);
	ck_assert_msg(strtoll(header("apns-expiration"), NULL, 10) > loop_wall_ms() / 1000 + 86000,
	              "in the future, not in 1970");
}
END_TEST

START_TEST(a_call_that_does_not_fit_goes_as_an_alert_to_the_first_token)
{
	static char payload[6000];

	memset(payload, 'A', sizeof(payload) - 1);
	notification.payload = "QUJD";
	notification.iv = "aXY=";
	job.priority = PRIORITY_VOIP;
	build_for(provider_kinds[0]);
	ck_assert_str_eq(header("apns-topic"), "org.example.chat.voip");
	ck_assert_ptr_nonnull(strstr(job.request.url, "/ccdd"));
	notification.payload = payload;
	build_for(provider_kinds[0]);
	ck_assert_int_eq(job.priority, PRIORITY_HIGH);
	ck_assert_str_eq(header("apns-topic"), "org.example.chat");
	ck_assert_ptr_nonnull(strstr(job.request.url, "/aabb"));
}
END_TEST

START_TEST(the_wait_grows_with_the_attempts_and_is_never_less_than_asked_for)
{
	job.attempts = 1;
	ck_assert_uint_le(job_retry_delay_ms(&job), RETRY_LEAST_MS);
	job.attempts = 10;
	ck_assert_uint_ge(job_retry_delay_ms(&job), RETRY_MOST_MS / 2);
	ck_assert_uint_le(job_retry_delay_ms(&job), RETRY_MOST_MS);
	job.judgement.retry_after_ms = 60000;
	ck_assert_uint_eq(job_retry_delay_ms(&job), 60000);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_device_of_tigases_dialect_is_told_all,
		a_device_that_hides_its_owner_is_told_the_accounts_hash_alone,
		a_device_that_its_domain_owns_is_told_nothing_at_all,
		each_attempt_expires_when_the_first_would_have,
		a_call_that_does_not_fit_goes_as_an_alert_to_the_first_token,
		the_wait_grows_with_the_attempts_and_is_never_less_than_asked_for,
	};

	return unit_run("job", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
