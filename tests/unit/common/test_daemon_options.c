#include "common/daemon.c"

#include "tests/unit/logged.h"
#include "tests/unit/testd.h"

/* The URL of PATH at the daemon. */
static void make_url(struct run *run, const char *path, char *url, size_t size)
{
	const char *address = wait_text(run, "address=") + strlen("address=");

	wait_text(run, "ready\n");
	snprintf(url, size, "http://%.*s%s", (int)strcspn(address, "\n"), address, path);
}

START_TEST(the_debug_option_outlives_a_reload)
{
	struct run run;

	write_config("log-level = error\n");
	start(&run, "-d");
	wait_text(&run, "module-starting name=second");
	wait_text(&run, "ready\n");
	kill(run.pid, SIGHUP);
	wait_text(&run, "config-reloaded changed=0");
	kill(run.pid, SIGTERM);
	ck_assert_int_eq(finish(&run), 0);
	ck_assert(has(&run, "module-stopping name=first"));
}
END_TEST

START_TEST(health_is_asked_of_the_running_daemon)
{
	struct run run, question;
	char url[100], listen[120];

	write_config("");
	start(&run, NULL);
	make_url(&run, "", url, sizeof(url));
	snprintf(listen, sizeof(listen), "listen = %s\n", url + strlen("http://"));
	write_config(listen);
	start(&question, "--health");
	ck_assert_int_eq(finish(&question), 0);
	ck_assert_str_eq(question.seen, "");
	kill(run.pid, SIGTERM);
	ck_assert_int_eq(finish(&run), 0);
	start(&question, "--health");
	ck_assert_int_eq(finish(&question), 1);
	ck_assert(has(&question, "Connection refused"));
}
END_TEST

START_TEST(a_draining_daemon_is_alive_but_not_ready)
{
	char ready[100], alive[100], why[200];
	struct run run;

	write_config("lingers = yes\n");
	start(&run, NULL);
	make_url(&run, "/readyz", ready, sizeof(ready));
	make_url(&run, "/healthz", alive, sizeof(alive));
	ck_assert_int_eq(health_ask(ready, 5000, why, sizeof(why)), 0);
	kill(run.pid, SIGTERM);
	wait_text(&run, "drain-asked");
	ck_assert_int_eq(health_ask(ready, 5000, why, sizeof(why)), -1);
	ck_assert_ptr_nonnull(strstr(why, "status 503"));
	ck_assert_int_eq(health_ask(alive, 5000, why, sizeof(why)), 0);
	kill(run.pid, SIGTERM);
	ck_assert_int_eq(finish(&run), 0);
}
END_TEST

START_TEST(metrics_are_served)
{
	char url[100], why[200];
	struct run run;

	write_config("");
	start(&run, NULL);
	make_url(&run, "/metrics", url, sizeof(url));
	ck_assert_msg(health_ask(url, 5000, why, sizeof(why)) == 0, "%s", why);
	kill(run.pid, SIGTERM);
	ck_assert_int_eq(finish(&run), 0);
}
END_TEST

START_TEST(a_configuration_can_be_checked_without_running)
{
	struct run run;

	write_config("");
	start(&run, "-n");
	ck_assert_int_eq(finish(&run), 0);
	ck_assert_str_eq(run.seen, "testd: the configuration is right\n");
	write_config("drain-timeout = x\nlog-level = loud\n");
	start(&run, "-n");
	ck_assert_int_eq(finish(&run), 1);
	ck_assert(has(&run, "testd.conf:3: drain-timeout: "));
	ck_assert(has(&run, "testd.conf:4: log-level: "));
	write_config("unsuitable = yes\n");
	start(&run, "-n");
	ck_assert_int_eq(finish(&run), 1);
	ck_assert_str_eq(run.seen, "that does not suit\n");
	start(&run, NULL);
	ck_assert_int_eq(finish(&run), 1);
	ck_assert(!has(&run, "first-started"));
}
END_TEST

START_TEST(a_dump_hides_the_token)
{
	struct run run;

	write_config("drain-timeout = 90s\n");
	start(&run, "-T");
	ck_assert_int_eq(finish(&run), 0);
	ck_assert(has(&run, "\ndrain-timeout = 90s\n"));
	ck_assert(has(&run, "\napi-token = (hidden)\n"));
	ck_assert(!has(&run, "opensesame"));
}
END_TEST

START_TEST(versions_and_help_need_no_configuration)
{
	struct run run;

	start(&run, "-V");
	ck_assert_int_eq(finish(&run), 0);
	ck_assert_int_eq(strncmp(run.seen, "testd " OG_VERSION "\n", 7 + strlen(OG_VERSION)), 0);
	ck_assert(has(&run, "\n  jansson "));
	ck_assert(has(&run, "\n  libmadeup 1.2.3\n"));
	start(&run, "-h");
	ck_assert_int_eq(finish(&run), 0);
	ck_assert_int_eq(strncmp(run.seen, "usage: testd ", 13), 0);
}
END_TEST

START_TEST(unknown_options_and_words_show_the_usage)
{
	struct run run;

	start(&run, "-x");
	ck_assert_int_eq(finish(&run), 1);
	ck_assert(has(&run, "usage: testd "));
	start(&run, "word");
	ck_assert_int_eq(finish(&run), 1);
	ck_assert(has(&run, "usage: testd "));
}
END_TEST

START_TEST(an_absent_default_file_leaves_the_environment)
{
	self.spec = &spec;
	choose_file(NULL);
	ck_assert_ptr_null(self.file);
	choose_file("given.conf");
	ck_assert_str_eq(self.file, "given.conf");
}
END_TEST

START_TEST(without_a_file_it_is_said_which_sections_there_cannot_be)
{
	static const struct config_section with_ids[] = {
		{ "daemon", "", keys, sizeof(struct top), 0, false },
		{ "app", "", keys, sizeof(struct top), 0, true },
		{ NULL },
	};
	static const struct config some = { "testd", with_ids, sizeof(struct top) };
	static const struct daemon_spec other = { .config = &some };
	struct logged logged = logged_start();

	self.spec = &spec;
	choose_file(NULL);
	ck_assert_ptr_nonnull(strstr(logged_end(&logged), "testd.conf using=environment\n"));
	logged = logged_start();
	self.spec = &other;
	choose_file(NULL);
	ck_assert_ptr_nonnull(
	        strstr(logged_end(&logged), "testd.conf using=environment lacking=\"[app ID]\"\n"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_debug_option_outlives_a_reload,
		health_is_asked_of_the_running_daemon,
		a_draining_daemon_is_alive_but_not_ready,
		metrics_are_served,
		a_configuration_can_be_checked_without_running,
		a_dump_hides_the_token,
		versions_and_help_need_no_configuration,
		unknown_options_and_words_show_the_usage,
		an_absent_default_file_leaves_the_environment,
		without_a_file_it_is_said_which_sections_there_cannot_be,
	};

	return unit_run("daemon_options", tests, ARRAY_LEN(tests), enter, leave);
}
