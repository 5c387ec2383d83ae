#include "common/daemon.c"

#include "tests/unit/testd.h"

/* That the texts, ended by NULL, stand in this order. */
static void check_order(const struct run *run, const char *const *texts)
{
	const char *from = run->seen;

	for (; *texts != NULL; texts++) {
		from = strstr(from, *texts);
		ck_assert_msg(from != NULL, "\"%s\" is missing or too early in: %s", *texts,
		              run->seen);
	}
}

/* That the next notice begins with TEXT. */
static void check_notice(const char *text)
{
	struct pollfd item = { .fd = notify_fd, .events = POLLIN };
	char notice[200];
	ssize_t n;

	ck_assert_int_eq(poll(&item, 1, 15000), 1);
	n = recv(notify_fd, notice, sizeof(notice) - 1, 0);
	ck_assert_int_ge(n, (ssize_t)strlen(text));
	notice[n] = '\0';
	ck_assert_mem_eq(notice, text, strlen(text));
}

START_TEST(modules_start_in_order_and_stop_in_reverse)
{
	static const char *const order[] = { "first-started",    "second-started",
		                             "second-started",   "ready",
		                             "draining",         "drain-asked draining=1",
		                             "second-stopped",   "first-stopped",
		                             "stopped status=0", NULL };
	struct run run;

	write_config("");
	start(&run, NULL);
	wait_text(&run, "ready\n");
	kill(run.pid, SIGTERM);
	ck_assert_int_eq(finish(&run), 0);
	check_order(&run, order);
	ck_assert(!has(&run, "opensesame"));
}
END_TEST

START_TEST(a_module_that_does_not_start_ends_the_daemon_and_stops_the_earlier_ones)
{
	static const char *const order[] = { "first-started", "second-started", "first-stopped",
		                             NULL };
	struct run run;

	write_config("fails = yes\n");
	start(&run, NULL);
	ck_assert_int_eq(finish(&run), 1);
	check_order(&run, order);
	ck_assert(!has(&run, "ready"));
	ck_assert(!has(&run, "second-stopped"));
}
END_TEST

START_TEST(a_drain_that_takes_too_long_is_cut)
{
	struct run run;

	write_config("lingers = yes\ndrain-timeout = 50ms\n");
	start(&run, NULL);
	wait_text(&run, "ready\n");
	kill(run.pid, SIGINT);
	ck_assert_int_eq(finish(&run), 0);
	ck_assert(has(&run, "drain-cut reason=timeout"));
}
END_TEST

START_TEST(a_second_signal_cuts_the_drain)
{
	struct run run;

	write_config("lingers = yes\n");
	start(&run, NULL);
	wait_text(&run, "ready\n");
	kill(run.pid, SIGTERM);
	wait_text(&run, "drain-asked");
	kill(run.pid, SIGTERM);
	ck_assert_int_eq(finish(&run), 0);
	ck_assert(has(&run, "drain-cut reason=signal"));
}
END_TEST

START_TEST(a_hangup_takes_live_keys_and_the_log_level_is_one)
{
	struct run run;

	write_config("");
	start(&run, NULL);
	wait_text(&run, "ready\n");
	write_config("drain-timeout = 5s\n");
	kill(run.pid, SIGHUP);
	wait_text(&run, "config-reloaded changed=1\n");
	wait_text(&run, "reloaded timeout=5000 token=opensesame\n");
	ck_assert(!has(&run, "config-needs-restart"));
	write_config("log-level = error\nlisten = 127.0.0.1:1\n");
	kill(run.pid, SIGHUP);
	wait_text(&run, "reloaded timeout=60000");
	kill(run.pid, SIGTERM);
	ck_assert_int_eq(finish(&run), 0);
	ck_assert_msg(!has(&run, "draining"), "an info line at level error: %s", run.seen);
}
END_TEST

/* That a hangup, after the file has changed to this, says that a restart is needed. */
static void check_restart(const char *token, const char *keys_and_values)
{
	struct run run;

	write_config("");
	start(&run, NULL);
	wait_text(&run, "ready\n");
	write_secret(token, keys_and_values);
	kill(run.pid, SIGHUP);
	wait_text(&run, "config-reloaded changed=0\n");
	wait_text(&run, "reloaded timeout=60000 token=opensesame");
	kill(run.pid, SIGTERM);
	ck_assert_int_eq(finish(&run), 0);
	ck_assert_msg(has(&run, "config-needs-restart"), "%s", run.seen);
}

START_TEST(keys_that_are_not_live_wait_for_a_restart)
{
	check_restart("opensesame", "listen = 127.0.0.1:1\n");
}
END_TEST

START_TEST(a_secret_that_is_not_live_waits_for_a_restart_too)
{
	check_restart("another", "");
}
END_TEST

START_TEST(a_bad_file_at_a_hangup_is_logged_and_changes_nothing)
{
	struct run run;

	write_config("lingers = yes\n");
	start(&run, NULL);
	wait_text(&run, "ready\n");
	write_config("drain-timeout = 1ms\nmistake = 1\n");
	kill(run.pid, SIGHUP);
	wait_text(&run, "testd.conf:4: unknown key");
	write_config("drain-timeout = 1ms\nunsuitable = yes\n");
	kill(run.pid, SIGHUP);
	wait_text(&run, "config-refused text=that does not suit\n");
	kill(run.pid, SIGTERM);
	wait_text(&run, "drain-asked");
	kill(run.pid, SIGTERM);
	ck_assert_int_eq(finish(&run), 0);
	ck_assert(!has(&run, "reloaded"));
	ck_assert(!has(&run, "reason=timeout"));
}
END_TEST

START_TEST(usr1_logs_the_state)
{
	struct run run;

	write_config("");
	start(&run, NULL);
	wait_text(&run, "ready\n");
	kill(run.pid, SIGUSR1);
	wait_text(&run, "state draining=no");
	wait_text(&run, "state-of-the-daemon");
	kill(run.pid, SIGTERM);
	ck_assert_int_eq(finish(&run), 0);
}
END_TEST

START_TEST(what_shows_to_be_unfit_when_it_runs_stops_its_modules_and_exits_1)
{
	static const char *const order[] = { "state-of-the-daemon", "second-stopped",
		                             "first-stopped", "stopped status=1", NULL };
	struct run run;

	write_config("unfit = yes\n");
	start(&run, NULL);
	wait_text(&run, "ready\n");
	kill(run.pid, SIGUSR1);
	ck_assert_int_eq(finish(&run), 1);
	check_order(&run, order);
}
END_TEST

START_TEST(the_service_manager_is_told_of_ready_reloading_and_stopping)
{
	struct run run;

	write_config("");
	start(&run, NULL);
	check_notice("READY=1");
	kill(run.pid, SIGHUP);
	check_notice("RELOADING=1\nMONOTONIC_USEC=");
	check_notice("READY=1");
	kill(run.pid, SIGTERM);
	check_notice("STOPPING=1");
	ck_assert_int_eq(finish(&run), 0);
}
END_TEST

START_TEST(the_descriptor_limit_is_raised_to_the_hard_one)
{
	struct rlimit limit;
	struct run run;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 64;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	write_config("");
	start(&run, NULL);
	wait_text(&run, "first-started descriptors=all");
	kill(run.pid, SIGTERM);
	ck_assert_int_eq(finish(&run), 0);
}
END_TEST

/* As an ordinary user who must not have a core: what refuse_cores() leaves, as an exit status. */
static int refuse_cores_unprivileged(void)
{
	const struct rlimit none = { 0, 0 };
	struct rlimit limit;

	if (setrlimit(RLIMIT_CORE, &none) < 0 || (getuid() == 0 && setuid(65534) < 0) ||
	    prctl(PR_SET_DUMPABLE, 1) < 0)
		return 2;
	refuse_cores();
	return getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 &&
	                       prctl(PR_GET_DUMPABLE) == 0
	               ? 0
	               : 1;
}

START_TEST(where_the_limit_of_cores_cannot_be_1_the_process_cannot_be_dumped)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(refuse_cores_unprivileged());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		modules_start_in_order_and_stop_in_reverse,
		a_module_that_does_not_start_ends_the_daemon_and_stops_the_earlier_ones,
		a_drain_that_takes_too_long_is_cut,
		a_second_signal_cuts_the_drain,
		a_hangup_takes_live_keys_and_the_log_level_is_one,
		keys_that_are_not_live_wait_for_a_restart,
		a_secret_that_is_not_live_waits_for_a_restart_too,
		a_bad_file_at_a_hangup_is_logged_and_changes_nothing,
		usr1_logs_the_state,
		what_shows_to_be_unfit_when_it_runs_stops_its_modules_and_exits_1,
		the_service_manager_is_told_of_ready_reloading_and_stopping,
		the_descriptor_limit_is_raised_to_the_hard_one,
		where_the_limit_of_cores_cannot_be_1_the_process_cannot_be_dumped,
	};

	return unit_run("daemon", tests, ARRAY_LEN(tests), enter, leave);
}
