#include "pushd/credential/expiry_warning.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "common/redis/tell_once.lua.h"
#include "pushd/conf.h"
#include "pushd/credential/credential.h"
#include "pushd/credential/material.h"
#include "pushd/db.h"

#define TICK_MS 10000
#define UNSETTLED_TICK_MS 500 /* until Redis has said which credentials are stored */
#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)
#define TOLD_LIFE_MS "34560000000" /* 400 days: longer than a certificate lives */
#define EVENTS_MAX "10000"

static const int thresholds[] = { 0, 1, 3, 7, 14, 30 }; /* days; 0: it has ended */

static struct redis_script warn_script = { tell_once_lua, "" };

/* The last warning of one credential. */
struct warning {
	struct redis_call call;
	const struct conf_provider *provider;
	bool for_calls; /* it is for calls alone */
	int days;       /* its threshold */
	char *asked;    /* the key in Redis of the warning that was tried last; NULL: none */
};

static struct {
	struct timer tick;
	struct warning *warnings; /* one for each credential */
	size_t credentials;
	const char **names; /* those in the metric */
	int64_t *seconds;
} self;

static struct metric expires_metric = {
	.name = "outrigger_pushd_credential_expires_seconds",
	.help = "How long the credentials of a provider are still valid, if they end at all: until "
	        "the first of them ends.",
	.kind = METRIC_GAUGE,
	.label = "provider",
};

/* ---- the metric ---- */

static void refresh_metric(void)
{
	struct credential *credential = NULL;
	size_t n = 0;

	while ((credential = credential_next(credential)) != NULL && n < self.credentials) {
		const struct material *material = credential_material(credential);
		int64_t expires_ms = material != NULL ? material->expires_ms : 0;
		int64_t left_s = (expires_ms - loop_wall_ms()) / 1000;
		const char *id = credential_provider(credential)->id;

		if (expires_ms == 0)
			continue;
		/* A provider's two credentials are next to each other. */
		if (n > 0 && self.names[n - 1] == id) {
			if (left_s < self.seconds[n - 1])
				self.seconds[n - 1] = left_s;
			continue;
		}
		self.names[n] = id;
		self.seconds[n++] = left_s;
	}
	expires_metric.series = n;
}

/* ---- warnings ---- */

/* The least threshold, in days, before which EXPIRES_MS comes; -1: it is later than all. */
static int threshold_of(int64_t expires_ms)
{
	int64_t left_ms = expires_ms - loop_wall_ms();

	for (size_t i = 0; i < ARRAY_LEN(thresholds); i++)
		if (left_ms <= thresholds[i] * DAY_MS)
			return thresholds[i];
	return -1;
}

/* The text of the message to admins; heap. */
static char *make_text(const struct warning *warning, int64_t expires_ms)
{
	int64_t left_ms = expires_ms - loop_wall_ms();
	const char *id = warning->provider->id;
	const char *which =
	        warning->for_calls ? "certificate for calls (voip-cert-file)" : "certificate";
	const char *then = warning->for_calls ? "calls are sent as alerts until the file is a new "
	                                        "one"
	                                      : "its notifications can't be sent until a new one "
	                                        "is set";
	char *date = material_date(expires_ms), *text;

	if (left_ms <= 0)
		text = mem_printf("The %s of the push provider %s expired on %s: %s.", which, id,
		                  date, then);
	else
		text = mem_printf(
		        "The %s of the push provider %s expires on %s, in %lld hours. Set "
		        "a new one before that.",
		        which, id, date, (long long)(left_ms / 3600000));
	free(date);
	return text;
}

static char *make_event(const struct warning *warning, int64_t expires_ms)
{
	char *text = make_text(warning, expires_ms), *event;
	json_t *object = json_pack("{s:s, s:s, s:i, s:I, s:I, s:s}", "type", "credential-expiry",
	                           "provider", warning->provider->id, "days", warning->days,
	                           "expires_ms", (json_int_t)expires_ms, "at_ms",
	                           (json_int_t)loop_wall_ms(), "text", text);

	event = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	free(text);
	return event;
}

/* A warning that fails is tried again at the next tick. */
static void on_warned(struct redis_call *call, const struct redisReply *reply)
{
	struct warning *warning = container_of(call, struct warning, call);

	if (reply == NULL || redis_reply_error(reply) != NULL) {
		free(warning->asked);
		warning->asked = NULL;
	} else if (redis_reply_integer(reply, 0) == 1) {
		log_warn("credential-expires provider=%s days=%d", warning->provider->id,
		         warning->days);
	}
}

/* Adds the event to Redis unless KEY (taken) exists: then a pushd has done so already. */
static void warn(struct warning *warning, int64_t expires_ms, char *key)
{
	struct redis *redis = db_redis();
	char *events = mem_printf("%sevents", redis_prefix(redis));
	char *event = make_event(warning, expires_ms);
	const char *argv[] = { key, events, TOLD_LIFE_MS, EVENTS_MAX, event };
	struct redis_args args = { .keys = 2, .argc = ARRAY_LEN(argv), .argv = argv };

	free(warning->asked);
	warning->asked = key;
	warning->call.done = on_warned;
	redis_eval(redis, &warning->call, &warn_script, &args);
	free(event);
	free(events);
}

static void look_at(struct warning *warning, const struct credential *credential)
{
	const struct material *material = credential_material(credential);
	char *key;

	if (redis_busy(&warning->call) || material == NULL || material->expires_ms == 0)
		return;
	warning->provider = credential_provider(credential);
	warning->for_calls = credential_is_for_calls(credential);
	warning->days = threshold_of(material->expires_ms);
	if (warning->days < 0)
		return;
	key = mem_printf("%spush:warned:%s:%s:%d", redis_prefix(db_redis()), warning->provider->id,
	                 material->fingerprint, warning->days);
	if (warning->asked == NULL || strcmp(warning->asked, key) != 0)
		warn(warning, material->expires_ms, key);
	else
		free(key);
}

static void look_at_all(void)
{
	struct credential *credential = NULL;

	for (size_t i = 0; i < self.credentials; i++) {
		credential = credential_next(credential);
		if (credential == NULL)
			break;
		look_at(&self.warnings[i], credential);
	}
}

static void on_tick(struct timer *timer)
{
	bool settled = credentials_settled() && redis_connected(db_redis());

	timer_start(&self.tick, settled ? TICK_MS : UNSETTLED_TICK_MS);
	refresh_metric();
	if (settled)
		look_at_all();
}

static int start(void *config)
{
	const struct conf *conf = config;

	self.credentials = 2 * conf->providers.count; /* at most: one may be for calls */
	self.warnings = mem_alloc(self.credentials + 1, sizeof(*self.warnings));
	self.names = mem_alloc(self.credentials + 1, sizeof(*self.names));
	self.seconds = mem_alloc(self.credentials + 1, sizeof(*self.seconds));
	expires_metric.values = self.names;
	expires_metric.numbers = self.seconds;
	metrics_add(&expires_metric);
	self.tick.expired = on_tick;
	on_tick(&self.tick);
	return 0;
}

static void stop(void)
{
	timer_stop(&self.tick);
	for (size_t i = 0; i < self.credentials; i++) {
		redis_cancel(&self.warnings[i].call);
		free(self.warnings[i].asked);
	}
	free(self.warnings);
	free(self.names);
	free(self.seconds);
	expires_metric.series = 0;
	self.credentials = 0;
}

const struct daemon_module expiry_warning_module = { "expiry_warning", start, stop };
