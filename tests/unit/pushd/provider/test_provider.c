#include "pushd/provider/provider.h"

#include "common/base/log.h"
#include "pushd/sender/sender.h"
#include "tests/unit/toy_kind.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

/*
 * A third kind, which only this program knows: nothing in pushd is touched for it. That it works
 * from the file of its configuration to its requests says that no other module knows a kind.
 */

static char secret_file[] = "/tmp/og-unit-XXXXXX";
static struct conf *conf;
static const struct conf_provider *provider;
static struct sender *sender;
static struct toy_server servers[2];
static struct notification notification;
static unsigned done;

static void setup(void)
{
	char *why = NULL;

	loop_init();
	log_init("unit", LOG_ERROR);
	toy_add();
	toy_write_file(secret_file, "toy:hush");
	conf = toy_configure(secret_file, "");
	provider = conf_provider(conf, 0);
	notification = (struct notification){ .summary = true, .count = 1 };
	toy_start(&servers[0]);
	toy_start(&servers[1]);
	sender = sender_new(&toy_kind, provider, 100, &why);
	ck_assert_msg(sender != NULL, "%s", why);
}

static void teardown(void)
{
	sender_free(sender);
	toy_stop(&servers[0]);
	toy_stop(&servers[1]);
	config_free(&conf_table, conf);
	unlink(secret_file);
	loop_release();
}

static void on_done(struct job *job)
{
	done++;
}

/* Sends to the device PATH of SERVER; *TOKEN is kept until then. */
static void send_to(struct job *job, const struct toy_server *server, const char *path, char *token)
{
	sprintf(token, "%s/%s", server->origin, path);
	*job = (struct job){ .done = on_done,
		             .notification = &notification,
		             .device = { .node = "n", .token = token },
		             .priority = PRIORITY_HIGH,
		             .deadline_ms = loop_now_ms() + 30000 };
	ck_assert(sender_submit(sender, job));
}

START_TEST(a_third_kind_has_its_own_keys_in_the_configuration)
{
	const struct toy_conf *own = conf_own(provider);
	struct conf *mixed = toy_configure(secret_file, "topic = org.example.chat\n");
	char *foreign = conf_foreign_key(conf_provider(mixed, 0));

	ck_assert_str_eq(provider->id, "toys");
	ck_assert_str_eq(own->secret_file, secret_file);
	ck_assert_ptr_null(conf_foreign_key(provider));
	ck_assert_str_eq(foreign, "topic is for kind apns");
	free(foreign);
	config_free(&conf_table, mixed);
}
END_TEST

START_TEST(each_token_says_where_its_notification_goes)
{
	char tokens[3][100];
	struct job jobs[3];

	send_to(&jobs[0], &servers[0], "one", tokens[0]);
	send_to(&jobs[1], &servers[1], "two", tokens[1]);
	send_to(&jobs[2], &servers[0], "three", tokens[2]);
	WAIT_UNTIL(done == 3);
	ck_assert_uint_eq(servers[0].requests, 2);
	ck_assert_uint_eq(servers[1].requests, 1);
	ck_assert_str_eq(servers[0].paths[0], "one");
	ck_assert_str_eq(servers[0].paths[1], "three");
	ck_assert_str_eq(servers[1].paths[0], "two");
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(jobs[i].judgement.verdict, VERDICT_SENT);
		ck_assert_msg(strcmp(jobs[i].judgement.id, "application/json") == 0,
		              "the header that it wants is at hand: %s", jobs[i].judgement.id);
	}
}
END_TEST

START_TEST(each_origin_gets_a_bearer_token_of_its_own)
{
	char tokens[3][100], expected[2][200];
	struct job jobs[3];

	send_to(&jobs[0], &servers[0], "one", tokens[0]);
	send_to(&jobs[1], &servers[0], "two", tokens[1]);
	send_to(&jobs[2], &servers[1], "three", tokens[2]);
	WAIT_UNTIL(done == 3);
	sprintf(expected[0], "-for-%s", servers[0].origin);
	sprintf(expected[1], "-for-%s", servers[1].origin);
	ck_assert_ptr_nonnull(strstr(servers[0].bearers[0], "Toy hush-"));
	ck_assert_ptr_nonnull(strstr(servers[0].bearers[0], expected[0]));
	ck_assert_str_eq(servers[0].bearers[0], servers[0].bearers[1]);
	ck_assert_ptr_nonnull(strstr(servers[1].bearers[0], expected[1]));
}
END_TEST

START_TEST(a_refused_bearer_token_is_replaced_for_its_origin_alone)
{
	char tokens[3][100];
	struct job jobs[3];

	send_to(&jobs[0], &servers[0], "one", tokens[0]);
	send_to(&jobs[1], &servers[1], "two", tokens[1]);
	WAIT_UNTIL(done == 2);
	servers[0].statuses[1] = 401;
	send_to(&jobs[2], &servers[0], "three", tokens[2]);
	WAIT_UNTIL(done == 3);
	ck_assert_int_eq(jobs[2].judgement.verdict, VERDICT_SENT);
	ck_assert_uint_eq(servers[0].requests, 3);
	ck_assert_str_eq(servers[0].bearers[0], servers[0].bearers[1]);
	ck_assert_str_ne(servers[0].bearers[1], servers[0].bearers[2]);
	send_to(&jobs[1], &servers[1], "four", tokens[1]);
	WAIT_UNTIL(done == 4);
	ck_assert_str_eq(servers[1].bearers[0], servers[1].bearers[1]);
}
END_TEST

START_TEST(a_token_that_names_no_place_is_not_taken)
{
	struct job job = { .done = on_done,
		           .notification = &notification,
		           .device = { .node = "n", .token = "http://nowhere" } };

	ck_assert(!sender_submit(sender, &job));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_third_kind_has_its_own_keys_in_the_configuration,
		each_token_says_where_its_notification_goes,
		each_origin_gets_a_bearer_token_of_its_own,
		a_refused_bearer_token_is_replaced_for_its_origin_alone,
		a_token_that_names_no_place_is_not_taken,
	};

	return unit_run("provider", tests, ARRAY_LEN(tests), setup, teardown);
}
