#include "pushd/credential/validity.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "pushd/conf.h"
#include "pushd/credential/credential.h"
#include "pushd/credential/material.h"
#include "pushd/db.h"

#define TICK_MS 10000
#define UNSETTLED_TICK_MS 500 /* while it isn't known yet what there is to look at */
#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)
#define DAY_LOOKED_AT_MS "60000"     /* then another may, if the first one died in it */
#define DAY_DONE_MS "172800000"      /* two days: any clock's same day */
#define WARNED_LIFE_MS "34560000000" /* 400 days: longer than a certificate lives */
#define EVENTS_MAX "10000"
#define DAY_TEXT_SIZE 9

static const int thresholds[] = { 0, 1, 3, 7, 14, 30 }; /* days; 0: it has ended */

/* Remembers the threshold and leaves the event in one stroke, so that neither comes alone. */
static struct redis_script warn_script = {
	.text = "if redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then\n"
	        "	redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'event', "
	        "ARGV[3])\n"
	        "	return 1\n"
	        "end\n"
	        "return 0\n",
};

/* One warning on its way. */
struct warning {
	struct redis_call call;
	const struct conf_provider *provider;
	int days;
	bool failed;
};

static struct {
	const char *id;
	struct timer tick;
	struct redis_call call;
	struct redis_call mark;        /* that it is done */
	char asked_day[DAY_TEXT_SIZE]; /* whether it is ours */
	char our_day[DAY_TEXT_SIZE], left_day[DAY_TEXT_SIZE], done_day[DAY_TEXT_SIZE];
	struct warning *warnings; /* one for each provider */
	size_t providers;
	const char **names; /* those in the metric */
	int64_t *seconds;
} self;

static struct metric expires_metric = {
	.name = "outrigger_pushd_credential_expires_seconds",
	.help = "How long the credential of a provider is still valid, if it ends at all.",
	.kind = METRIC_GAUGE,
	.label = "provider",
};

/* ---- what every process does ---- */

static void refresh_metric(void)
{
	struct credential *credential = NULL;
	size_t n = 0;

	while ((credential = credential_next(credential)) != NULL && n < self.providers) {
		const struct material *material = credential_material(credential);
		int64_t expires_ms = material != NULL ? material->expires_ms : 0;

		if (expires_ms == 0)
			continue;
		self.names[n] = credential_provider(credential)->id;
		self.seconds[n++] = (expires_ms - loop_wall_ms()) / 1000;
	}
	expires_metric.series = n;
}

/* ---- what the first one of a day does ---- */

/* The least threshold that EXPIRES_MS is within; -1: none yet. */
static int threshold_of(int64_t expires_ms)
{
	int64_t left_ms = expires_ms - loop_wall_ms();

	for (size_t i = 0; i < ARRAY_LEN(thresholds); i++)
		if (left_ms <= thresholds[i] * DAY_MS)
			return thresholds[i];
	return -1;
}

/* What people are told; heap. */
static char *make_text(const struct conf_provider *provider, int64_t expires_ms)
{
	int64_t left_ms = expires_ms - loop_wall_ms();
	char *date = material_date(expires_ms), *text;

	if (left_ms <= 0)
		text = mem_printf("The certificate of the push provider %s expired on %s: its "
		                  "notifications can't be sent until a new one is set.",
		                  provider->id, date);
	else
		text = mem_printf("The certificate of the push provider %s expires on %s, in %lld "
		                  "hours. Set a new one before that.",
		                  provider->id, date, (long long)(left_ms / 3600000));
	free(date);
	return text;
}

static char *make_event(const struct warning *warning, int64_t expires_ms)
{
	char *text = make_text(warning->provider, expires_ms), *event;
	json_t *object = json_pack("{s:s, s:s, s:i, s:I, s:I, s:s}", "type", "credential-expiry",
	                           "provider", warning->provider->id, "days", warning->days,
	                           "expires_ms", (json_int_t)expires_ms, "at_ms",
	                           (json_int_t)loop_wall_ms(), "text", text);

	event = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	free(text);
	return event;
}

static void on_marked(struct redis_call *call, const struct redisReply *reply)
{
	if (reply != NULL && redis_reply_error(reply) == NULL)
		memcpy(self.done_day, self.our_day, sizeof(self.done_day));
}

/* The day is done once all its warnings are; one that fails is tried at the next tick. */
static void settle(void)
{
	for (size_t i = 0; i < self.providers; i++)
		if (redis_busy(&self.warnings[i].call) || self.warnings[i].failed)
			return;
	if (!redis_busy(&self.mark))
		redis_command(db_redis(), &self.mark, "SET %spush:validity:%s %s PX %s",
		              redis_prefix(db_redis()), self.our_day, self.id, DAY_DONE_MS);
}

static void on_warned(struct redis_call *call, const struct redisReply *reply)
{
	struct warning *warning = container_of(call, struct warning, call);

	warning->failed = reply == NULL || redis_reply_error(reply) != NULL;
	if (redis_reply_integer(reply, 0) == 1)
		log_warn("credential-expires provider=%s days=%d", warning->provider->id,
		         warning->days);
	settle();
}

static void warn(struct warning *warning, const struct material *material)
{
	struct redis *redis = db_redis();
	const char *prefix = redis_prefix(redis);
	int64_t expires_ms = material->expires_ms;
	char *warned = mem_printf("%spush:warned:%s:%s:%d", prefix, warning->provider->id,
	                          material->fingerprint, warning->days);
	char *events = mem_printf("%sevents", prefix);
	char *event = make_event(warning, expires_ms);
	const char *argv[] = { warned, events, WARNED_LIFE_MS, EVENTS_MAX, event };
	struct redis_args args = { .keys = 2, .argc = ARRAY_LEN(argv), .argv = argv };

	warning->call.done = on_warned;
	redis_eval(redis, &warning->call, &warn_script, &args);
	free(event);
	free(events);
	free(warned);
}

/* Once more after a failure too: what was told already isn't told again. */
static void look_at_all(void)
{
	struct credential *credential = NULL;

	for (size_t i = 0; i < self.providers; i++) {
		struct warning *warning = &self.warnings[i];
		const struct material *material;
		int64_t expires_ms;

		credential = credential_next(credential);
		if (credential == NULL)
			break;
		if (redis_busy(&warning->call))
			continue;
		material = credential_material(credential);
		expires_ms = material != NULL ? material->expires_ms : 0;
		warning->provider = credential_provider(credential);
		warning->failed = false;
		warning->days = expires_ms != 0 ? threshold_of(expires_ms) : -1;
		if (warning->days >= 0)
			warn(warning, material);
	}
	settle();
}

/* ---- whose day it is ---- */

static void on_day(struct redis_call *call, const struct redisReply *reply)
{
	if (reply == NULL || redis_reply_error(reply) != NULL)
		return; /* at the next tick */
	if (redis_reply_nil(reply)) {
		if (strcmp(self.left_day, self.asked_day) != 0)
			log_info("validity-left day=%s reason=another-looks", self.asked_day);
		memcpy(self.left_day, self.asked_day, sizeof(self.left_day));
		return;
	}
	memcpy(self.our_day, self.asked_day, sizeof(self.our_day));
	log_info("validity-checked day=%s", self.our_day);
	look_at_all();
}

static void print_day(char *day)
{
	time_t now = (time_t)(loop_wall_ms() / 1000);
	struct tm date;

	if (gmtime_r(&now, &date) == NULL || strftime(day, DAY_TEXT_SIZE, "%Y%m%d", &date) == 0)
		day[0] = '\0';
}

static void take_day(void)
{
	char day[DAY_TEXT_SIZE];

	print_day(day);
	if (strcmp(day, self.done_day) == 0 || redis_busy(&self.call))
		return;
	if (strcmp(day, self.our_day) == 0) {
		look_at_all();
		return;
	}
	memcpy(self.asked_day, day, sizeof(day));
	redis_command(db_redis(), &self.call, "SET %spush:validity:%s %s NX PX %s",
	              redis_prefix(db_redis()), day, self.id, DAY_LOOKED_AT_MS);
}

static void on_tick(struct timer *timer)
{
	bool settled = credentials_settled() && redis_connected(db_redis());

	timer_start(&self.tick, settled ? TICK_MS : UNSETTLED_TICK_MS);
	refresh_metric();
	if (settled)
		take_day();
}

static int start(void *config)
{
	const struct conf *conf = config;

	self.id = conf_id(conf);
	self.providers = conf->providers.count;
	self.warnings = mem_alloc(self.providers + 1, sizeof(*self.warnings));
	self.names = mem_alloc(self.providers + 1, sizeof(*self.names));
	self.seconds = mem_alloc(self.providers + 1, sizeof(*self.seconds));
	expires_metric.values = self.names;
	expires_metric.numbers = self.seconds;
	metrics_add(&expires_metric);
	self.call.done = on_day;
	self.mark.done = on_marked;
	self.tick.expired = on_tick;
	on_tick(&self.tick);
	return 0;
}

static void stop(void)
{
	timer_stop(&self.tick);
	redis_cancel(&self.call);
	redis_cancel(&self.mark);
	for (size_t i = 0; i < self.providers; i++)
		redis_cancel(&self.warnings[i].call);
	free(self.warnings);
	free(self.names);
	free(self.seconds);
	expires_metric.series = 0;
	self.providers = 0;
}

const struct daemon_module validity_module = { "validity", start, stop };
