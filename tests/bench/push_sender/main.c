/*
 * pushd's sender by itself: jobs for one provider, without API, storage or HTTP server around it.
 * tests/bench/push.py sets it beside a bare loop of libcurl's.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "pushd/provider/kinds.h"
#include "pushd/sender/sender.h"

#define FILE_MAX (16u << 20)
#define DEADLINE_MS 60000

static const char help[] =
        "push_sender --config FILE --provider ID --notification FILE --tokens FILE\n"
        "            --in-flight N\n"
        "Sends the notification (an item of POST /v1/notifications) to each of the tokens in turn\n"
        "through the provider of pushd's configuration, with N that are not done at any time.\n"
        "Says \"ready\" when the connection is warm; then for each line, which is a number, sends\n"
        "for so many seconds and says what came of it.\n";

static struct {
	const char *config, *provider, *notification, *tokens;
	size_t in_flight;
} options;

static struct {
	struct conf *conf;
	struct sender *sender;
	json_t *json;
	struct notification notification;
	struct provider_device *devices;
	size_t device_count;
	struct job *jobs;
	size_t in_flight;
	uint64_t started, sent, refused;
	bool more;
} self;

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "push_sender: %s: %s\n", what, why);
	exit(1);
}

static void on_done(struct job *job);

static void submit(struct job *job)
{
	*job = (struct job){
		.done = on_done,
		.notification = &self.notification,
		.device = self.devices[self.started++ % self.device_count],
		.priority = PRIORITY_HIGH,
		.deadline_ms = loop_now_ms() + DEADLINE_MS,
	};
	if (!sender_submit(self.sender, job))
		fail("the sender", "is full");
	self.in_flight++;
}

static void on_done(struct job *job)
{
	self.in_flight--;
	if (job->judgement.verdict == VERDICT_SENT)
		self.sent++;
	else
		self.refused++;
	if (self.more)
		submit(job);
}

/* ---- what is sent where ---- */

static char *read_text(const char *path)
{
	size_t len;
	char *text = file_read(path, FILE_MAX, &len);

	if (text == NULL)
		fail(path, "can't be read");
	return text;
}

static const struct conf_provider *find_provider(void)
{
	struct buf complaints = { 0 };

	for (size_t i = 0; provider_kinds[i] != NULL; i++)
		conf_add_kind(&provider_kinds[i]->conf);
	self.conf = config_read(&conf_table, options.config, &complaints);
	if (self.conf == NULL)
		fail(options.config, buf_take(&complaints));
	for (size_t i = 0; i < self.conf->providers.count; i++)
		if (strcmp(conf_provider(self.conf, i)->id, options.provider) == 0)
			return conf_provider(self.conf, i);
	fail(options.provider, "is no provider of the configuration");
	return NULL;
}

static void read_notification(void)
{
	char *text = read_text(options.notification);
	struct json_reader reader;
	struct json_object item;

	self.json = json_loads(text, 0, NULL);
	item = json_object_top(&reader, self.json);
	notification_read(&self.notification, &item);
	if (!json_reader_ok(&reader))
		fail(options.notification, reader.complaint);
	free(text);
}

static void read_devices(void)
{
	char *rest = read_text(options.tokens), *token;

	while ((token = strsep(&rest, "\n")) != NULL) {
		if (*token == '\0')
			continue;
		self.devices =
		        mem_resize(self.devices, self.device_count + 1, sizeof(*self.devices));
		self.devices[self.device_count++] = (struct provider_device){
			.token = token,
			.account = "user1@example.org",
		};
	}
	if (self.device_count == 0)
		fail(options.tokens, "has no token");
}

/* ---- the run ---- */

static void submit_all(void)
{
	self.more = true;
	for (size_t i = 0; i < options.in_flight; i++)
		submit(&self.jobs[i]);
}

static void drain(void)
{
	self.more = false;
	while (self.in_flight > 0)
		loop_turn(1000);
}

static void warm_up(void)
{
	self.jobs = mem_alloc(options.in_flight, sizeof(*self.jobs));
	submit_all();
	while (self.sent < 3 * options.in_flight && self.refused == 0)
		loop_turn(1000);
	drain();
	if (self.refused > 0)
		fail("the provider", "refuses the notification");
}

static void run(double seconds)
{
	uint64_t before = self.sent, began_ns = loop_now_ns();
	uint64_t end_ns = began_ns + (uint64_t)(seconds * 1e9);

	submit_all();
	while (loop_now_ns() < end_ns)
		loop_turn(100);
	drain();
	printf("sent=%llu refused=%llu seconds=%.4f\n", (unsigned long long)(self.sent - before),
	       (unsigned long long)self.refused, (double)(loop_now_ns() - began_ns) / 1e9);
	fflush(stdout);
}

static void finish(void)
{
	sender_free(self.sender);
	json_decref(self.json);
	config_free(&conf_table, self.conf);
	loop_release();
}

static void read_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "provider", required_argument, NULL, 'p' },
		{ "notification", required_argument, NULL, 'm' },
		{ "tokens", required_argument, NULL, 't' },
		{ "in-flight", required_argument, NULL, 'n' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'c')
			options.config = optarg;
		else if (option == 'p')
			options.provider = optarg;
		else if (option == 'm')
			options.notification = optarg;
		else if (option == 't')
			options.tokens = optarg;
		else if (option == 'n')
			options.in_flight = strtoul(optarg, NULL, 10);
	}
	if (options.config == NULL || options.provider == NULL || options.notification == NULL ||
	    options.tokens == NULL || options.in_flight == 0) {
		fputs(help, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	const struct conf_provider *provider;
	char line[80], *why = NULL;

	read_options(argc, argv);
	log_init("push_sender", LOG_WARN);
	loop_init();
	provider = find_provider();
	self.sender = sender_new(provider_kinds[provider->kind], provider, options.in_flight, &why);
	if (self.sender == NULL)
		fail(options.provider, why);
	read_notification();
	read_devices();
	warm_up();
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL)
		run(strtod(line, NULL));
	finish();
	return 0;
}
