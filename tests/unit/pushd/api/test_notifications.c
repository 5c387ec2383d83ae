#include "pushd/api/notifications.c"

#include "common/base/log.h"
#include "common/http/http_client.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define TOKEN "token-of-the-test"

static struct conf_provider provider = { .id = (char *)"apns" };
static struct conf conf = { .providers = { &provider, 1 } };

/* ---- the deliveries, as each test wants them ---- */

static struct {
	size_t count, max;
	bool at_once; /* each is settled when it starts */
	struct delivery *started[32];
	size_t started_count;
	unsigned concluded, abandoned;
	bool unknown;           /* their devices are being looked up */
	enum outcome concludes; /* with this; OUTCOME_COUNT: not at all */
} given;

size_t deliveries_count(void)
{
	return given.count;
}

size_t deliveries_max(void)
{
	return given.max;
}

const struct conf_provider *delivery_provider(const struct delivery *delivery)
{
	return &provider;
}

static void end_with(struct delivery *delivery, enum outcome outcome)
{
	for (size_t i = 0; i < given.started_count; i++)
		if (given.started[i] == delivery)
			given.started[i] = NULL;
	delivery->outcome = outcome;
	mem_copy_word(delivery->id, sizeof(delivery->id), "id-1");
	delivery->settled(delivery);
	delivery->ended(delivery);
}

void delivery_start(struct delivery *delivery)
{
	given.started[given.started_count++] = delivery;
	delivery->known_ms = given.unknown ? 0 : loop_now_ms();
	if (given.at_once)
		end_with(delivery, OUTCOME_SENT);
}

void delivery_conclude(struct delivery *delivery)
{
	given.concluded++;
	if (given.concludes != OUTCOME_COUNT)
		end_with(delivery, given.concludes);
}

void delivery_abandon(struct delivery *delivery)
{
	given.abandoned++;
	end_with(delivery, OUTCOME_UNAVAILABLE);
}

/* ---- calls ---- */

static struct http_server *server;
static struct http_pool *pool;

static struct {
	struct http_call call;
	char url[128];
	bool done;
} asked;

static void on_asked(struct http_call *call)
{
	asked.done = true;
}

/* Starts a call with COUNT notifications. */
static void start_call(size_t count, uint64_t deadline_ms)
{
	static const char *const headers[] = { "Authorization: Bearer " TOKEN, NULL };
	static char body[2048];
	char address[NET_TEXT_MAX];
	size_t len =
	        (size_t)snprintf(body, sizeof(body), "{\"deadline_ms\":%llu,\"notifications\":[",
	                         (unsigned long long)deadline_ms);

	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(body + len, sizeof(body) - len,
		                        "%s{\"component\":\"push.example.org\","
		                        "\"domain\":\"example.org\",\"node\":\"n\"}",
		                        i > 0 ? "," : "");
	len += (size_t)snprintf(body + len, sizeof(body) - len, "]}");
	snprintf(asked.url, sizeof(asked.url), "http://%s/v1/notifications",
	         net_format(http_server_address(server), address));
	asked.call = (struct http_call){ .done = on_asked,
		                         .method = "POST",
		                         .url = asked.url,
		                         .headers = headers,
		                         .body = body,
		                         .body_len = len,
		                         .timeout_ms = 60000 };
	asked.done = false;
	http_send(pool, &asked.call);
}

/* Waits until the call is answered with TEXT. */
static void expect(const char *text)
{
	WAIT_UNTIL(asked.done);
	ck_assert_uint_eq(asked.call.status, 200);
	ck_assert_str_eq(asked.call.response, text);
	http_release(&asked.call);
}

#define HOUR_NS (3600 * UINT64_C(1000000000))

static void setup(void)
{
	struct http_server_options options = {
		.routes = notifications_routes,
		.token = TOKEN,
		.body_max = 65536,
	};
	char *why = NULL;

	log_init("unit", LOG_ERROR);
	loop_init();
	memset(&given, 0, sizeof(given));
	given.max = 8;
	given.concludes = OUTCOME_QUEUED;
	conf.daemon.answer_within_ms = 50;
	conf.daemon.domain_rate = 20;
	conf.daemon.domain_burst = 3;
	ck_assert_int_eq(counters_module.start(&conf), 0);
	ck_assert_int_eq(notifications_module.start(&conf), 0);
	self.domains.interval_ns = HOUR_NS; /* while a test runs, time allows none */
	ck_assert_int_eq(net_parse("127.0.0.1:0", &options.listen), 0);
	server = http_server_new(&options, &why);
	ck_assert_msg(server != NULL, "%s", why);
	pool = http_pool_new(&(struct http_pool_options){ .connections = 4 });
}

static void teardown(void)
{
	http_pool_free(pool);
	http_server_free(server);
	notifications_module.stop();
	counters_module.stop();
	loop_release();
}

START_TEST(outcomes_are_answered_in_the_order_of_the_notifications)
{
	given.concludes = OUTCOME_COUNT;
	start_call(2, 60000);
	WAIT_UNTIL(given.started_count == 2);
	end_with(given.started[1], OUTCOME_GONE);
	end_with(given.started[0], OUTCOME_SENT);
	expect("{\"outcomes\":[{\"outcome\":\"sent\",\"id\":\"id-1\"},{\"outcome\":\"gone\"}]}");
	ck_assert_int_eq(counters_of(0).outcomes[OUTCOME_SENT], 1);
	ck_assert_int_eq(counters_of(0).outcomes[OUTCOME_GONE], 1);
}
END_TEST

START_TEST(a_call_whose_deliveries_settle_at_once_is_answered_once)
{
	given.at_once = true;
	start_call(2, 60000);
	expect("{\"outcomes\":[{\"outcome\":\"sent\",\"id\":\"id-1\"},"
	       "{\"outcome\":\"sent\",\"id\":\"id-1\"}]}");
	ck_assert_uint_eq(given.concluded + given.abandoned, 0);
}
END_TEST

START_TEST(what_is_unsettled_after_answer_within_is_concluded)
{
	start_call(2, 60000);
	expect("{\"outcomes\":[{\"outcome\":\"queued\"},{\"outcome\":\"queued\"}]}");
	ck_assert_uint_eq(given.concluded, 2);
	ck_assert_uint_eq(given.abandoned, 0);
}
END_TEST

START_TEST(answer_within_counts_from_when_the_device_is_known)
{
	given.unknown = true;
	start_call(2, 60000);
	WAIT_UNTIL(given.started_count == 2);
	given.started[0]->known_ms = loop_now_ms();
	WAIT_UNTIL(given.concluded == 1);
	ck_assert_ptr_null(given.started[0]);
	ck_assert_uint_gt(given.started[1]->deadline_ms, loop_now_ms() + 50000);
	given.started[1]->known_ms = loop_now_ms();
	expect("{\"outcomes\":[{\"outcome\":\"queued\"},{\"outcome\":\"queued\"}]}");
	ck_assert_uint_eq(given.concluded, 2);
}
END_TEST

START_TEST(a_device_that_is_never_known_is_concluded_before_the_deadline)
{
	given.unknown = true;
	start_call(1, 400);
	expect("{\"outcomes\":[{\"outcome\":\"queued\"}]}");
	ck_assert_uint_eq(given.concluded, 1);
}
END_TEST

START_TEST(at_the_deadline_the_call_is_answered_and_the_rest_abandoned)
{
	given.concludes = OUTCOME_COUNT;
	start_call(1, 200);
	expect("{\"outcomes\":[{\"outcome\":\"unavailable\",\"reason\":\"deadline\"}]}");
	ck_assert_uint_eq(given.concluded, 1);
	ck_assert_uint_eq(given.abandoned, 1);
	ck_assert_int_eq(counters_of(0).outcomes[OUTCOME_UNAVAILABLE], 1);
}
END_TEST

START_TEST(when_the_request_ends_its_deliveries_are_abandoned)
{
	given.concludes = OUTCOME_COUNT;
	start_call(2, 60000);
	WAIT_UNTIL(given.started_count == 2);
	http_server_free(server);
	server = NULL;
	ck_assert_uint_eq(given.abandoned, 2);
}
END_TEST

START_TEST(beyond_in_flight_max_and_domain_rate_nothing_is_started)
{
	given.at_once = true;
	given.count = given.max;
	start_call(1, 60000);
	expect("{\"outcomes\":[{\"outcome\":\"unavailable\",\"reason\":\"full\"}]}");
	given.count = 0;
	for (int i = 0; i < 3; i++)
		ck_assert(domain_allowed("example.org"));
	start_call(1, 60000);
	expect("{\"outcomes\":[{\"outcome\":\"unavailable\",\"reason\":\"domain-limit\"}]}");
	ck_assert_uint_eq(given.started_count, 0);
}
END_TEST

/* ---- an alias ---- */

/* DELIVERY's node is an alias of COUNT devices. */
static void alias_of(struct delivery *delivery, size_t count)
{
	struct device devices[DEVICE_ALIAS_MAX];
	char nodes[DEVICE_ALIAS_MAX][8];

	for (size_t i = 0; i < count; i++) {
		snprintf(nodes[i], sizeof(nodes[i]), "node%zu", i);
		devices[i] = (struct device){ .node = nodes[i] };
	}
	for (size_t i = 0; i < given.started_count; i++)
		if (given.started[i] == delivery)
			given.started[i] = NULL;
	delivery->aliased(delivery, devices, count);
	delivery->ended(delivery);
}

START_TEST(a_publish_to_an_alias_goes_to_each_of_its_devices)
{
	start_call(2, 60000);
	WAIT_UNTIL(given.started_count == 2);
	alias_of(given.started[0], 2);
	ck_assert_uint_eq(given.started_count, 4);
	ck_assert_str_eq(given.started[2]->notification.node, "node0");
	ck_assert_str_eq(given.started[3]->notification.node, "node1");
	ck_assert_str_eq(given.started[3]->notification.domain, "example.org");
	ck_assert_str_eq(json_string_value(json_object_get(given.started[3]->item, "node")),
	                 "node1");
	ck_assert(given.started[3]->aliased == NULL);
	end_with(given.started[3], OUTCOME_GONE);
	end_with(given.started[1], OUTCOME_MERGED);
	end_with(given.started[2], OUTCOME_QUEUED);
	expect("{\"outcomes\":[{\"outcome\":\"queued\"},{\"outcome\":\"merged\"}]}");
}
END_TEST

START_TEST(an_alias_is_gone_only_when_all_of_its_devices_are)
{
	static const struct {
		enum outcome outcomes[3];
		const char *answer;
	} cases[] = {
		{ { OUTCOME_GONE, OUTCOME_GONE, OUTCOME_GONE }, "{\"outcome\":\"gone\"}" },
		{ { OUTCOME_GONE, OUTCOME_UNAVAILABLE, OUTCOME_GONE },
		  "{\"outcome\":\"unavailable\"}" },
		{ { OUTCOME_UNAVAILABLE, OUTCOME_SENT, OUTCOME_GONE },
		  "{\"outcome\":\"sent\",\"id\":\"id-1\"}" },
		{ { OUTCOME_QUEUED, OUTCOME_UNAVAILABLE, OUTCOME_MERGED },
		  "{\"outcome\":\"queued\"}" },
	};
	char answer[128];

	notifications_module.stop();
	conf.daemon.domain_rate = 0;
	ck_assert_int_eq(notifications_module.start(&conf), 0);
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		given.started_count = 0;
		start_call(1, 60000);
		WAIT_UNTIL(given.started_count == 1);
		alias_of(given.started[0], 3);
		for (size_t i = 0; i < 3; i++)
			end_with(given.started[1 + i], cases[c].outcomes[i]);
		snprintf(answer, sizeof(answer), "{\"outcomes\":[%s]}", cases[c].answer);
		expect(answer);
	}
}
END_TEST

START_TEST(the_devices_of_an_alias_are_concluded_and_abandoned_with_the_call)
{
	given.concludes = OUTCOME_COUNT;
	start_call(1, 5000);
	WAIT_UNTIL(given.started_count == 1);
	WAIT_UNTIL(given.concluded == 1);
	alias_of(given.started[0], DEVICE_ALIAS_MAX);
	ck_assert_uint_eq(given.concluded, 1 + DEVICE_ALIAS_MAX);
	end_with(given.started[1], OUTCOME_GONE);
	expect("{\"outcomes\":[{\"outcome\":\"unavailable\",\"reason\":\"deadline\"}]}");
	ck_assert_uint_eq(given.abandoned, DEVICE_ALIAS_MAX - 1);
}
END_TEST

START_TEST(no_more_devices_of_an_alias_than_may_be_in_flight)
{
	start_call(1, 60000);
	WAIT_UNTIL(given.started_count == 1);
	given.count = given.max;
	alias_of(given.started[0], 2);
	expect("{\"outcomes\":[{\"outcome\":\"unavailable\",\"reason\":\"full\"}]}");
	ck_assert_uint_eq(given.started_count, 1);
}
END_TEST

/* ---- the limit of a domain ---- */

START_TEST(a_domain_may_do_its_burst_and_then_what_its_rate_says)
{
	for (int i = 0; i < 3; i++)
		ck_assert(domain_allowed("example.org"));
	ck_assert(!domain_allowed("example.org"));
	ck_assert_int_eq(refused_number, 1);
	self.domains.interval_ns = 1000000000 / 20;
	for (int i = 0; i < 1000 && domain_allowed("example.com"); i++)
		;
	WAIT_UNTIL(domain_allowed("example.com"));
}
END_TEST

START_TEST(domains_are_apart_and_their_case_is_the_same)
{
	for (int i = 0; i < 3; i++)
		ck_assert(domain_allowed("Example.ORG"));
	ck_assert(!domain_allowed("example.org"));
	ck_assert(domain_allowed("example.net"));
}
END_TEST

START_TEST(without_a_rate_everything_is_allowed)
{
	notifications_module.stop();
	conf.daemon.domain_rate = 0;
	ck_assert_int_eq(notifications_module.start(&conf), 0);
	for (int i = 0; i < 10000; i++)
		ck_assert(domain_allowed("example.org"));
	ck_assert_int_eq(refused_number, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		outcomes_are_answered_in_the_order_of_the_notifications,
		a_call_whose_deliveries_settle_at_once_is_answered_once,
		what_is_unsettled_after_answer_within_is_concluded,
		answer_within_counts_from_when_the_device_is_known,
		a_device_that_is_never_known_is_concluded_before_the_deadline,
		at_the_deadline_the_call_is_answered_and_the_rest_abandoned,
		when_the_request_ends_its_deliveries_are_abandoned,
		beyond_in_flight_max_and_domain_rate_nothing_is_started,
		a_publish_to_an_alias_goes_to_each_of_its_devices,
		an_alias_is_gone_only_when_all_of_its_devices_are,
		the_devices_of_an_alias_are_concluded_and_abandoned_with_the_call,
		no_more_devices_of_an_alias_than_may_be_in_flight,
		a_domain_may_do_its_burst_and_then_what_its_rate_says,
		domains_are_apart_and_their_case_is_the_same,
		without_a_rate_everything_is_allowed,
	};

	return unit_run("notifications", tests, ARRAY_LEN(tests), setup, teardown);
}
