/*
 * A daemon of two modules, whose configuration says how it behaves, run in a process of its own:
 * for the tests of common/daemon.c, which are in two files and include it before this.
 */
#ifndef OG_TESTS_UNIT_TESTD_H
#define OG_TESTS_UNIT_TESTD_H

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/net/net.h"
#include "tests/unit/unit.h"

struct top {
	struct daemon_common common;
	char *listen;
	char *token;
	bool fails;      /* the second module doesn't start */
	bool lingers;    /* a drain doesn't end by itself */
	bool unsuitable; /* the daemon's own check refuses */
	bool unfit;      /* which shows when it is asked for its state */
};

/* clang-format off */
static const struct config_key keys[] = {
	DAEMON_KEYS,
	{ "listen", CONFIG_ADDRESS, offsetof(struct top, listen), "127.0.0.1:0", "Where." },
	{ "api-token", CONFIG_SECRET, offsetof(struct top, token), NULL, "Token.", .needed = true },
	{ "fails", CONFIG_BOOLEAN, offsetof(struct top, fails), "no", "Fails." },
	{ "lingers", CONFIG_BOOLEAN, offsetof(struct top, lingers), "no", "Lingers." },
	{ "unsuitable", CONFIG_BOOLEAN, offsetof(struct top, unsuitable), "no", "Refused." },
	{ "unfit", CONFIG_BOOLEAN, offsetof(struct top, unfit), "no", "Gives up." },
	{ NULL },
};
static const struct config_section sections[] = {
	{ "daemon", "The daemon itself.", keys, sizeof(struct top), 0, false },
	{ NULL },
};
static const struct http_route routes[] = { DAEMON_ROUTES, { NULL } };
/* clang-format on */
static const struct config config = { "testd", sections, sizeof(struct top) };

static struct http_server *server;
static const struct top *live;
static struct timer drained;

static int start_first(void *root)
{
	struct http_server_options options = { .routes = routes, .body_max = 1024 };
	char text[NET_TEXT_MAX], *why;
	struct rlimit limit;

	live = root;
	ck_assert_int_eq(net_parse(live->listen, &options.listen), 0);
	server = http_server_new(&options, &why);
	ck_assert_ptr_nonnull(server);
	log_info("listening address=%s", net_format(http_server_address(server), text));
	getrlimit(RLIMIT_NOFILE, &limit);
	log_info("first-started descriptors=%s", limit.rlim_cur == limit.rlim_max ? "all" : "few");
	return 0;
}

static void stop_first(void)
{
	http_server_free(server);
	log_info("first-stopped");
}

static int start_second(void *root)
{
	log_info("second-started");
	return live->fails ? -1 : 0;
}

static void stop_second(void)
{
	timer_stop(&drained);
	log_info("second-stopped");
}

static void end_drain(struct timer *timer)
{
	daemon_exit();
}

static void drain(void)
{
	log_info("drain-asked draining=%d", daemon_draining());
	drained.expired = end_drain;
	if (!live->lingers)
		timer_start(&drained, 1);
}

static const struct daemon_module first_module = { "first", start_first, stop_first };
static const struct daemon_module second_module = { "second", start_second, stop_second, drain };
static const struct daemon_module third_module = { "third", start_second, NULL };

static const struct daemon_module *const modules[] = {
	&first_module,
	&second_module,
	&third_module,
	NULL,
};

static int check(const void *root, struct buf *complaints)
{
	const struct top *top = root;

	if (!top->unsuitable)
		return 0;
	buf_text(complaints, "that does not suit\n");
	return -1;
}

static void reloaded(void *root)
{
	const struct top *top = root;

	log_error("reloaded timeout=%lld token=%s", (long long)top->common.drain_timeout_ms,
	          top->token);
}

static void dump(void)
{
	log_info("state-of-the-daemon");
	if (live->unfit)
		daemon_fail();
}

static const char *made_up_version(void)
{
	return "libmadeup 1.2.3";
}

static const char *(*const libraries[])(void) = { made_up_version, NULL };

static const struct daemon_spec spec = {
	.config = &config,
	.modules = modules,
	.check = check,
	.reloaded = reloaded,
	.dump = dump,
	.health_offset = offsetof(struct top, listen),
	.versions = libraries,
};

/* One daemon in a process of its own, and what it has written. */
struct run {
	pid_t pid;
	int output;
	char seen[16384];
	size_t len;
};

static char folder[] = "/tmp/og-daemon-XXXXXX";
static char file[64], notify_path[64];
static int notify_fd;

static void enter(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/testd.conf", folder);
	snprintf(notify_path, sizeof(notify_path), "%s/notify", folder);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", notify_path);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(notify_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", notify_path, 1);
}

static void leave(void)
{
	close(notify_fd);
	unlink(notify_path);
	unlink(file);
	rmdir(folder);
}

static void write_secret(const char *token, const char *keys_and_values)
{
	FILE *out = fopen(file, "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(fchmod(fileno(out), 0600), 0);
	fprintf(out, "[daemon]\napi-token = %s\n%s", token, keys_and_values);
	fclose(out);
}

static void write_config(const char *keys_and_values)
{
	write_secret("opensesame", keys_and_values);
}

/* Runs "testd ARGUMENT -c FILE", or without ARGUMENT where that is NULL. */
static void start(struct run *run, const char *argument)
{
	char name[] = "testd", option[] = "-c";
	char *argv[] = { name, option, file, (char *)argument, NULL };
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	run->len = 0;
	run->seen[0] = '\0';
	run->output = ends[0];
	fflush(stdout);
	run->pid = fork();
	if (run->pid == 0) {
		close(ends[0]);
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		close(ends[1]);
		exit(daemon_main(argument == NULL ? 3 : 4, argv, &spec));
	}
	close(ends[1]);
}

/* One more piece of output: false at its end. */
static bool read_more(struct run *run)
{
	struct pollfd item = { .fd = run->output, .events = POLLIN };
	ssize_t n;

	ck_assert_msg(poll(&item, 1, 15000) == 1, "nothing more came after: %s", run->seen);
	n = read(run->output, run->seen + run->len, sizeof(run->seen) - 1 - run->len);
	ck_assert_int_ge(n, 0);
	run->len += (size_t)n;
	run->seen[run->len] = '\0';
	return n > 0;
}

/* Waits until TEXT stands in the output; where it does. */
static const char *wait_text(struct run *run, const char *text)
{
	const char *found;

	while ((found = strstr(run->seen, text)) == NULL)
		ck_assert_msg(read_more(run), "\"%s\" is not in: %s", text, run->seen);
	return found;
}

/* Reads to the end; the exit status. */
static int finish(struct run *run)
{
	int status;

	while (read_more(run))
		;
	close(run->output);
	ck_assert_int_eq(waitpid(run->pid, &status, 0), run->pid);
	ck_assert_msg(WIFEXITED(status), "status %x after: %s", status, run->seen);
	return WEXITSTATUS(status);
}

static bool has(const struct run *run, const char *text)
{
	return strstr(run->seen, text) != NULL;
}

#endif
