#include "common/daemon.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/log_rate.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/health.h"
#include "common/net/resolve.h"
#include "common/notify.h"

#define HEALTH_TIMEOUT_MS 5000
#define LOG_RETRY_MS 1000 /* for the rest of a line that a file took only in part */

const char *const daemon_log_levels[] = { "debug", "info", "warn", "error", NULL };

static struct {
	const struct daemon_spec *spec;
	void *config; /* the root struct, owned */
	const char *file;
	char default_file[128];
	bool debug; /* -d: whatever the file says */
	bool draining;
	bool failed;
	size_t started; /* modules, from the table's first */
	struct timer drain_deadline;
} self;

static int64_t read_lag_us(void)
{
	return (int64_t)(loop_take_lag_ns() / 1000);
}

static const char *const versions[] = { OG_VERSION };
static int64_t one = 1, started_s;
static struct metric build_metric = {
	.name = "outrigger_build_info",
	.help = "Always 1; the label is the version.",
	.kind = METRIC_GAUGE,
	.label = "version",
	.values = versions,
	.series = 1,
	.numbers = &one,
};
static struct metric start_metric = {
	.name = "process_start_time_seconds",
	.help = "When the process started, in seconds since the epoch.",
	.kind = METRIC_GAUGE,
	.numbers = &started_s,
};
static struct metric lag_metric = {
	.name = "outrigger_loop_lag_microseconds",
	.help = "The longest turn of the event loop since this was last asked.",
	.kind = METRIC_GAUGE,
	.read = read_lag_us,
};

static struct metric dropped_metric = {
	.name = "outrigger_log_lines_dropped_total",
	.help = "Log lines that were dropped because who reads the log had stalled.",
	.kind = METRIC_COUNTER,
	.read = log_dropped,
};
static struct metric withheld_metric = {
	.name = "outrigger_log_lines_withheld_total",
	.help = "Log lines about strangers that were not written because they were too many.",
	.kind = METRIC_COUNTER,
	.read = log_rate_withheld,
};

static struct daemon_common *common_keys(void)
{
	return (struct daemon_common *)((char *)self.config + self.spec->common_offset);
}

static void set_log_level(void)
{
	log_set_level(self.debug ? LOG_DEBUG : (enum log_level)common_keys()->log_level);
}

/* The log */

static struct io log_io;
static struct timer log_timer;

static void on_log_retry(struct timer *timer)
{
	if (!log_flush())
		timer_start(timer, LOG_RETRY_MS);
}

static void on_log_writable(struct io *io, uint32_t events)
{
	if (log_flush())
		io_stop(io);
}

static void on_log_stalled(int fd)
{
	log_io.ready = on_log_writable;
	log_timer.expired = on_log_retry;
	/* epoll takes no regular file, of which a full disk may take a part of a line. */
	if (io_start(&log_io, fd, EPOLLOUT) < 0)
		timer_start(&log_timer, LOG_RETRY_MS);
}

static void stop_log(void)
{
	log_rate_stop();
	io_stop(&log_io);
	timer_stop(&log_timer);
}

/* Draining */

static void cut_drain(struct timer *timer)
{
	log_warn("drain-cut reason=timeout");
	daemon_exit();
}

static void drain_modules(void)
{
	bool any = false;

	for (size_t i = self.started; i > 0; i--) {
		const struct daemon_module *module = self.spec->modules[i - 1];

		if (module->drain == NULL)
			continue;
		any = true;
		module->drain();
	}
	if (!any)
		daemon_exit();
}

void daemon_drain(void)
{
	if (self.draining)
		return;
	self.draining = true;
	log_info("draining");
	notify_send("STOPPING=1");
	self.drain_deadline.expired = cut_drain;
	timer_start(&self.drain_deadline, (uint64_t)common_keys()->drain_timeout_ms);
	drain_modules();
}

bool daemon_draining(void)
{
	return self.draining;
}

void daemon_exit(void)
{
	loop_end();
}

void daemon_fail(void)
{
	self.failed = true;
	loop_end();
}

/* Reloading */

static void log_complaints(struct buf *complaints)
{
	char *text = buf_take(complaints);
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			log_error("config-refused text=%s", line);
	free(text);
}

static int check_config(const void *config, struct buf *complaints)
{
	return self.spec->check == NULL ? 0 : self.spec->check(config, complaints);
}

/* Applies the live keys of FRESH; warns when other keys differ, too. */
static void take_fresh(void *fresh)
{
	size_t changed = config_take_live(self.spec->config, self.config, fresh);

	set_log_level();
	log_info("config-reloaded changed=%zu", changed);
	if (config_differs(self.spec->config, self.config, fresh))
		log_warn("config-needs-restart reason=changed-keys-are-not-live");
	if (self.spec->reloaded != NULL)
		self.spec->reloaded(self.config);
}

static void reload(void)
{
	struct buf complaints = { 0 };
	void *fresh;

	notify_reloading();
	fresh = config_read(self.spec->config, self.file, &complaints);
	if (fresh == NULL || check_config(fresh, &complaints) < 0)
		log_complaints(&complaints);
	else
		take_fresh(fresh);
	config_free(self.spec->config, fresh);
	buf_release(&complaints);
	notify_send("READY=1");
}

/* Signals */

static void on_stop_signal(void)
{
	if (!self.draining) {
		daemon_drain();
		return;
	}
	log_warn("drain-cut reason=signal");
	daemon_exit();
}

static void dump_state(void)
{
	log_info("state draining=%s", self.draining ? "yes" : "no");
	if (self.spec->dump != NULL)
		self.spec->dump();
}

static void on_signal(int signal)
{
	switch (signal) {
	case SIGTERM:
	case SIGINT:
		on_stop_signal();
		break;
	case SIGHUP:
		if (!self.draining)
			reload();
		break;
	case SIGUSR1:
		dump_state();
		break;
	}
}

/* Running */

static int start_modules(void)
{
	const struct daemon_module *const *modules = self.spec->modules;

	for (self.started = 0; modules[self.started] != NULL; self.started++) {
		const struct daemon_module *module = modules[self.started];

		log_debug("module-starting name=%s", module->name);
		if (module->start != NULL && module->start(self.config) < 0)
			return -1;
	}
	return 0;
}

static void stop_modules(void)
{
	while (self.started > 0) {
		const struct daemon_module *module = self.spec->modules[--self.started];

		log_debug("module-stopping name=%s", module->name);
		if (module->stop != NULL)
			module->stop();
	}
}

/*
 * Each conversation costs descriptors. Only select(), which nothing here calls, can't use large
 * ones.
 */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warn("descriptor-limit-stays reason=%s", strerror(errno));
}

/*
 * A core has the API's token, provider keys and what people wrote. The limit 1 keeps the kernel
 * from writing a file, which would be larger, and from handing the core to a program of
 * core_pattern, which the limit 0 doesn't (core(5)). PR_SET_DUMPABLE does so, too, but gives
 * /proc/PID to root, so that nobody else can look at his own daemon: it is for where the limit
 * can't be 1. `prlimit --core` allows a core again.
 */
static void refuse_cores(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) < 0)
		limit.rlim_max = 0;
	limit.rlim_cur = 1;
	if (limit.rlim_max < 1)
		limit.rlim_max = 1;
	if (setrlimit(RLIMIT_CORE, &limit) < 0 && prctl(PR_SET_DUMPABLE, 0) < 0)
		log_warn("core-limit-stays reason=%s", strerror(errno));
}

static int run(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, 0 };
	int status = 1;

	set_log_level();
	raise_descriptor_limit();
	refuse_cores();
	loop_init();
	log_start(on_log_stalled);
	loop_signals(signals, on_signal);
	started_s = loop_wall_ms() / 1000;
	metrics_add(&build_metric);
	metrics_add(&start_metric);
	metrics_add(&lag_metric);
	metrics_add(&dropped_metric);
	metrics_add(&withheld_metric);
	if (start_modules() == 0) {
		log_info("ready");
		notify_send("READY=1");
		loop_run();
		status = self.failed;
	}
	timer_stop(&self.drain_deadline);
	stop_modules();
	resolve_release();
	stop_log();
	loop_release();
	log_info("stopped status=%d", status);
	log_stop();
	return status;
}

/* Options */

struct options {
	const char *file;
	enum { RUN, CHECK, DUMP, HEALTH, VERSIONS, HELP } what;
};

static void print_usage(FILE *out)
{
	fprintf(out,
	        "usage: %s [-c FILE] [-d] [-n | -T | -V | -h | --health]\n"
	        "  -c FILE   the configuration (default: /etc/outrigger/%s.conf)\n"
	        "  -d        log debug lines\n"
	        "  -n        check the configuration and exit\n"
	        "  -T        print every key with its value and help, and exit\n"
	        "  -V        print the version and those of the libraries, and exit\n"
	        "  --health  ask the running daemon of this configuration how it is, and exit\n",
	        self.spec->config->daemon, self.spec->config->daemon);
}

static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "health", no_argument, NULL, HEALTH },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*options = (struct options){ 0 };
	while ((c = getopt_long(argc, argv, "c:dnTVh", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			options->file = optarg;
			break;
		case 'd':
			self.debug = true;
			break;
		case 'n':
			options->what = CHECK;
			break;
		case 'T':
			options->what = DUMP;
			break;
		case 'V':
			options->what = VERSIONS;
			break;
		case 'h':
			options->what = HELP;
			break;
		case HEALTH:
			options->what = HEALTH;
			break;
		default:
			return -1;
		}
	}
	return optind == argc ? 0 : -1;
}

static int print_versions(void)
{
	printf("%s %s\n", self.spec->config->daemon, OG_VERSION);
	printf("  jansson %s\n", jansson_version_str());
	for (size_t i = 0; self.spec->versions != NULL && self.spec->versions[i] != NULL; i++)
		printf("  %s\n", self.spec->versions[i]());
	return 0;
}

static int print_config(void)
{
	struct buf dump = { 0 };
	char *text;

	config_dump(self.spec->config, self.config, &dump);
	text = buf_take(&dump);
	fputs(text, stdout);
	free(text);
	return 0;
}

static int ask_health(void)
{
	const char *address = *(char **)((char *)self.config + self.spec->health_offset);
	char *url = mem_printf("http://%s/healthz", address);
	char why[400];
	int status = health_ask(url, HEALTH_TIMEOUT_MS, why, sizeof(why));

	if (status < 0)
		fprintf(stderr, "%s: %s\n", self.spec->config->daemon, why);
	free(url);
	return status < 0;
}

/* The environment overrides keys, but makes no section with an id. */
static void warn_absent(void)
{
	const struct config_section *section = self.spec->config->sections;
	struct buf lacking = { 0 };
	char *text;

	for (; section->name != NULL; section++)
		if (section->with_id)
			buf_printf(&lacking, " lacking=\"[%s ID]\"", section->name);
	text = buf_take(&lacking);
	log_warn("config-absent file=%s using=environment%s", self.default_file, text);
	free(text);
}

/*
 * A container may be configured by its environment alone, as far as no section with an id is
 * needed: then the default file may be absent.
 */
static void choose_file(const char *given)
{
	self.file = given;
	if (given != NULL)
		return;
	snprintf(self.default_file, sizeof(self.default_file), "/etc/outrigger/%s.conf",
	         self.spec->config->daemon);
	if (access(self.default_file, F_OK) == 0 || errno != ENOENT)
		self.file = self.default_file;
	else
		warn_absent();
}

static void print_complaints(struct buf *complaints)
{
	char *text = buf_take(complaints);

	fputs(text, stderr);
	free(text);
}

static int read_config(const char *file)
{
	struct buf complaints = { 0 };

	choose_file(file);
	self.config = config_read(self.spec->config, self.file, &complaints);
	print_complaints(&complaints);
	return self.config == NULL ? -1 : 0;
}

/*
 * The checks beyond the table need files, keys and certificates, so only a start and -n run them,
 * not -T or --health.
 */
static int check_more(int what)
{
	struct buf complaints = { 0 };
	int result = 0;

	if (what == CHECK || what == RUN)
		result = check_config(self.config, &complaints);
	if (what == CHECK && result == 0 && self.spec->check_more != NULL)
		result = self.spec->check_more(self.config, &complaints);
	print_complaints(&complaints);
	return result;
}

static int act(int what)
{
	if (check_more(what) < 0)
		return 1;
	switch (what) {
	case CHECK:
		printf("%s: the configuration is right\n", self.spec->config->daemon);
		return 0;
	case DUMP:
		return print_config();
	case HEALTH:
		return ask_health();
	}
	return run();
}

int daemon_main(int argc, char **argv, const struct daemon_spec *spec)
{
	struct options options;
	int status;

	self.spec = spec;
	if (parse_options(argc, argv, &options) < 0) {
		print_usage(stderr);
		return 1;
	}
	if (options.what == VERSIONS)
		return print_versions();
	if (options.what == HELP) {
		print_usage(stdout);
		return 0;
	}
	log_init(spec->config->daemon, self.debug ? LOG_DEBUG : LOG_INFO);
	if (read_config(options.file) < 0)
		return 1;
	status = act(options.what);
	config_free(spec->config, self.config);
	self.config = NULL;
	return status;
}

const char *daemon_id(const char *configured)
{
	static char host[HOST_NAME_MAX + 1];

	if (configured != NULL)
		return configured;
	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	return host;
}

/* Routes */

void daemon_serve_metrics(struct http_request *request)
{
	struct buf text = { 0 };

	metrics_print(&text);
	http_reply_text(request, 200, "text/plain; version=0.0.4; charset=utf-8", buf_take(&text));
}

void daemon_serve_healthz(struct http_request *request)
{
	http_reply_text(request, 200, "text/plain", mem_dup("ok\n"));
}

void daemon_serve_readyz(struct http_request *request)
{
	if (self.draining)
		http_fail(request, 503, "unavailable", "draining");
	else if (self.spec->serving != NULL && !self.spec->serving())
		http_fail(request, 503, "unavailable", "not serving");
	else
		http_reply_text(request, 200, "text/plain", mem_dup("ready\n"));
}
