#include "xmppgw/events/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "common/redis/redis.h"
#include "xmppgw/component/components.h"
#include "xmppgw/db.h"
#include "xmppgw/events/event.h"

#define POLL_MS 500          /* between two reads of new entries */
#define UNSENT_MS 20         /* between two checks whether the messages have left */
#define TAKE_OVER_MS 10000   /* between two searches for entries of gateways that died */
#define ABANDONED_MS "30000" /* the gateway that kept an entry for this long is taken for dead */
#define ENTRIES_MAX 16       /* read at once */
#define ENTRIES_MAX_TEXT "16"
#define NOTICE_LIFE_MS (INT64_C(7) * 24 * 60 * 60 * 1000) /* an older notice is dropped */
#define ID_MAX 41                                         /* two 64-bit numbers and a dash */

/*
 *   grouping ──▶ recovering ──▶ taking over ◀──▶ reading ⟲ every POLL_MS
 *                    └──────────────┴───────────────┴───▶ acknowledging ──▶ back to that step
 *
 * A failure and a stream that went down lead back to grouping; recovering then finds the entries
 * that were not acknowledged. An acknowledgement that fails is only repeated.
 */
enum step { STEP_GROUP, STEP_RECOVER, STEP_TAKE_OVER, STEP_READ, STEP_ACKNOWLEDGE };

/* A stream of events in Redis. */
struct source {
	const char *key;
	const char *first; /* where a new group begins: at the first entry ("0"), or at new ones */
};

static const struct source all_events = { "events", "0" };
static const struct source gone_devices = { "push:gone", "$" };

/* A component's place in a stream of events: there is one in each Redis. */
struct follower {
	struct list_link link;
	struct stream *stream; /* borrowed */
	struct redis *redis;   /* borrowed */
	const struct source *source;
	struct redis_call call;
	struct timer timer;
	enum step step;
	enum step after;               /* the step that follows acknowledging */
	uint64_t up_since_ms;          /* of the connection that this round began with */
	uint64_t taken_ms;             /* when entries were last taken over */
	char cursor[ID_MAX];           /* of XAUTOCLAIM */
	char ids[ENTRIES_MAX][ID_MAX]; /* to be acknowledged */
	size_t id_count;
	bool complained; /* that Redis refuses; reset once it doesn't */
};

static struct list followers;
static const char *consumer;

enum { OUTCOME_TOLD, OUTCOME_FOREIGN, OUTCOME_MALFORMED };
static const char *const outcome_names[] = { "told", "foreign", "malformed" };
static int64_t outcome_numbers[ARRAY_LEN(outcome_names)];
static struct metric outcome_metric = {
	.name = "outrigger_xmppgw_events_total",
	.help = "Events of relays and push daemons; foreign: for another component.",
	.kind = METRIC_COUNTER,
	.label = "outcome",
	.values = outcome_names,
	.series = ARRAY_LEN(outcome_names),
	.numbers = outcome_numbers,
};

/* ---- one entry ---- */

/* True if DOMAIN is a subdomain of the domain of the bare JID ADMIN: both are on one server. */
static bool same_server(const char *domain, const char *admin)
{
	const char *at = strchr(admin, '@');
	size_t len = strlen(domain), admin_len;

	admin = at != NULL ? at + 1 : admin;
	admin_len = strlen(admin);
	return len > admin_len && domain[len - admin_len - 1] == '.' &&
	       strcmp(domain + len - admin_len, admin) == 0;
}

/*
 * The component with one of ROLES that writes to ADMIN: of those that name him the first one of the
 * same server, else the first one.
 */
static const struct stream *component_for_admin(const char *admin, unsigned roles)
{
	struct stream *stream = NULL;
	const struct stream *first = NULL;

	while ((stream = components_next(stream)) != NULL) {
		if (!(stream->roles & roles) || !acl_is_admin(&stream->acl, admin))
			continue;
		if (same_server(stream->domain, admin))
			return stream;
		if (first == NULL)
			first = stream;
	}
	return first;
}

/* A notice for the admins to whom one component writes. */
struct notice {
	struct stream *stream;
	const struct event *event;
	const char *id;
	unsigned sent;
};

static void write_to_admin(const char *admin, void *state)
{
	struct notice *notice = state;

	const struct stream *writer = component_for_admin(admin, ROLE_PUSH);

	if (writer == NULL && notice->event->kind == EVENT_STORAGE_FILLING)
		writer = component_for_admin(admin, ROLE_RELAY);
	if (writer != notice->stream)
		return;
	event_write(notice->event, notice->stream->domain, notice->id, admin,
	            stream_output(notice->stream));
	notice->sent++;
}

/* Writes EVENT to everybody whom STREAM's component tells. False if there is nobody. */
static bool write_event(struct stream *stream, const struct event *event, const char *id)
{
	struct notice notice = { .stream = stream, .event = event, .id = id };
	char to[JID_TEXT_MAX];

	if (event->kind == EVENT_OVER_LIMIT) {
		event_write_over_limit(event, stream->domain, id,
		                       stream->conf->over_quota == OVER_QUOTA_ERROR,
		                       stream_output(stream));
		return true;
	}
	if (event->kind == EVENT_DEVICE_GONE) {
		event_write(event, stream->domain, id, jid_full(&event->requester, to),
		            stream_output(stream));
		return true;
	}
	if (loop_wall_ms() - event->at_ms < NOTICE_LIFE_MS)
		acl_each_admin(&stream->acl, write_to_admin, &notice);
	return notice.sent > 0;
}

/* Handles the entry ID, whose event is TEXT (NULL: it has none). */
static void handle_event(struct follower *follower, const char *id, const char *text, size_t len)
{
	const char *component = follower->stream->domain;
	char complaint[200] = "it has no member \"event\"";
	struct event event;
	enum event_verdict verdict = EVENT_MALFORMED;

	if (text != NULL)
		verdict = event_read(text, len, component, &event, complaint);
	if (verdict == EVENT_READ && !write_event(follower->stream, &event, id))
		verdict = EVENT_FOREIGN;
	switch (verdict) {
	case EVENT_READ:
		log_info("event-told component=%s id=%s", component, id);
		outcome_numbers[OUTCOME_TOLD]++;
		break;
	case EVENT_FOREIGN:
		outcome_numbers[OUTCOME_FOREIGN]++;
		break;
	case EVENT_MALFORMED:
		log_warn("event-malformed component=%s id=%s reason=\"%s\"", component, id,
		         complaint);
		outcome_numbers[OUTCOME_MALFORMED]++;
		break;
	}
}

/* The value of "event" in FIELDS, which are name, value, name, value, …; or NULL. */
static const char *find_event(const struct redisReply *fields, size_t *len)
{
	for (size_t i = 0; i + 1 < redis_reply_count(fields); i += 2) {
		const char *name = redis_reply_string(redis_reply_at(fields, i), NULL);

		if (name != NULL && strcmp(name, "event") == 0)
			return redis_reply_string(redis_reply_at(fields, i + 1), len);
	}
	return NULL;
}

/* An entry is [id, fields]; FIELDS are nil if the stream's cap has dropped the entry. */
static void take_entries(struct follower *follower, const struct redisReply *entries)
{
	for (size_t i = 0; i < redis_reply_count(entries) && i < ENTRIES_MAX; i++) {
		const struct redisReply *entry = redis_reply_at(entries, i);
		const struct redisReply *fields = redis_reply_at(entry, 1);
		const char *id = redis_reply_string(redis_reply_at(entry, 0), NULL), *text;
		size_t len = 0;

		if (id == NULL || strlen(id) >= ID_MAX)
			continue;
		text = find_event(fields, &len);
		if (!redis_reply_nil(fields))
			handle_event(follower, id, text, len);
		snprintf(follower->ids[follower->id_count++], ID_MAX, "%s", id);
	}
}

/* ---- the steps: each sends a command to Redis and handles the reply ---- */

static void create_group(struct follower *follower, struct redis *redis)
{
	redis_command(redis, &follower->call, "XGROUP CREATE %s%s %s %s MKSTREAM",
	              redis_prefix(redis), follower->source->key, follower->stream->domain,
	              follower->source->first);
}

/* Reads the entries that this gateway was given before it went down and did not acknowledge. */
static void read_own(struct follower *follower, struct redis *redis)
{
	redis_command(redis, &follower->call,
	              "XREADGROUP GROUP %s %s COUNT " ENTRIES_MAX_TEXT " STREAMS %s%s 0",
	              follower->stream->domain, consumer, redis_prefix(redis),
	              follower->source->key);
}

static void take_over(struct follower *follower, struct redis *redis)
{
	follower->taken_ms = loop_now_ms();
	redis_command(redis, &follower->call,
	              "XAUTOCLAIM %s%s %s %s " ABANDONED_MS " %s COUNT " ENTRIES_MAX_TEXT,
	              redis_prefix(redis), follower->source->key, follower->stream->domain,
	              consumer, follower->cursor);
}

static void read_new(struct follower *follower, struct redis *redis)
{
	redis_command(redis, &follower->call,
	              "XREADGROUP GROUP %s %s COUNT " ENTRIES_MAX_TEXT " STREAMS %s%s >",
	              follower->stream->domain, consumer, redis_prefix(redis),
	              follower->source->key);
}

static void acknowledge(struct follower *follower, struct redis *redis)
{
	const char *argv[3 + ENTRIES_MAX] = { "XACK" };
	char *key = mem_printf("%s%s", redis_prefix(redis), follower->source->key);
	size_t argc = 3;

	argv[1] = key;
	argv[2] = follower->stream->domain;
	for (size_t i = 0; i < follower->id_count; i++)
		argv[argc++] = follower->ids[i];
	redis_send(redis, &follower->call, argc, argv, NULL);
	free(key);
}

static enum step after_group(struct follower *follower, const struct redisReply *reply)
{
	snprintf(follower->cursor, ID_MAX, "0-0");
	return STEP_RECOVER;
}

/* REPLY is [[stream, entries]], or nil when there are none. */
static void take_read(struct follower *follower, const struct redisReply *reply)
{
	take_entries(follower, redis_reply_at(redis_reply_at(reply, 0), 1));
}

static enum step after_own(struct follower *follower, const struct redisReply *reply)
{
	take_read(follower, reply);
	return follower->id_count > 0 ? STEP_RECOVER : STEP_TAKE_OVER;
}

/* REPLY is [cursor, entries, …]; the cursor 0-0 says that these were the last. */
static enum step after_take_over(struct follower *follower, const struct redisReply *reply)
{
	const char *cursor = redis_reply_string(redis_reply_at(reply, 0), NULL);
	bool last = cursor == NULL || strcmp(cursor, "0-0") == 0;

	snprintf(follower->cursor, ID_MAX, "%s", last ? "0-0" : cursor);
	take_entries(follower, redis_reply_at(reply, 1));
	return last ? STEP_READ : STEP_TAKE_OVER;
}

static enum step after_new(struct follower *follower, const struct redisReply *reply)
{
	take_read(follower, reply);
	if (loop_now_ms() - follower->taken_ms >= TAKE_OVER_MS)
		return STEP_TAKE_OVER;
	return STEP_READ;
}

static enum step after_acknowledge(struct follower *follower, const struct redisReply *reply)
{
	follower->id_count = 0;
	return follower->after;
}

/* clang-format off */
static const struct {
	const char *name;
	void (*ask)(struct follower *follower, struct redis *redis);
	/* Handles the reply and returns the next step. */
	enum step (*take)(struct follower *follower, const struct redisReply *reply);
} steps[] = {
	[STEP_GROUP]       = { "grouping", create_group, after_group },
	[STEP_RECOVER]     = { "recovering", read_own, after_own },
	[STEP_TAKE_OVER]   = { "taking-over", take_over, after_take_over },
	[STEP_READ]        = { "reading", read_new, after_new },
	[STEP_ACKNOWLEDGE] = { "acknowledging", acknowledge, after_acknowledge },
};
/* clang-format on */

/* ---- the round ---- */

/* True while FOLLOWER's messages go to the connection that this round began with. */
static bool is_connected(const struct follower *follower)
{
	return stream_is_up(follower->stream) &&
	       follower->stream->up_since_ms == follower->up_since_ms;
}

static void begin_round(struct follower *follower)
{
	follower->step = STEP_GROUP;
	follower->id_count = 0;
	follower->up_since_ms = follower->stream->up_since_ms;
	timer_start(&follower->timer, POLL_MS);
}

static void go_on(struct follower *follower)
{
	bool may_ask = stream_is_up(follower->stream) && !follower->stream->draining;

	if (follower->step == STEP_ACKNOWLEDGE && stream_unsent(follower->stream) > 0)
		timer_start(&follower->timer, UNSENT_MS);
	else if (follower->step == STEP_ACKNOWLEDGE || may_ask)
		steps[follower->step].ask(follower, follower->redis);
	else
		timer_start(&follower->timer, POLL_MS);
}

static void on_timer(struct timer *timer)
{
	struct follower *follower = container_of(timer, struct follower, timer);

	if (!is_connected(follower) && follower->step != STEP_GROUP)
		begin_round(follower);
	else
		go_on(follower);
}

/* BUSYGROUP is no failure: the group exists already. */
static bool failed(struct follower *follower, const struct redisReply *reply)
{
	const char *error = redis_reply_error(reply);

	if (reply == NULL)
		return true;
	if (follower->step == STEP_GROUP && error != NULL && strncmp(error, "BUSYGROUP", 9) == 0)
		return false;
	if (error == NULL && follower->step == STEP_READ)
		follower->complained = false;
	if (error != NULL && !follower->complained)
		log_warn("events-failed component=%s step=%s reason=\"%s\"",
		         follower->stream->domain, steps[follower->step].name, error);
	follower->complained |= error != NULL;
	return error != NULL;
}

/* Enters STEP, at once unless nothing new was read; entries are acknowledged first. */
static void enter(struct follower *follower, enum step step)
{
	bool idle = follower->step == STEP_READ && follower->id_count == 0;

	if (follower->id_count > 0) {
		follower->after = step;
		step = STEP_ACKNOWLEDGE;
	}
	follower->step = step;
	timer_start(&follower->timer,
	            idle ? POLL_MS : 0); /* 0: after the stream has been flushed */
}

static void on_reply(struct redis_call *call, const struct redisReply *reply)
{
	struct follower *follower = container_of(call, struct follower, call);

	if (failed(follower, reply)) {
		if (follower->step == STEP_ACKNOWLEDGE)
			timer_start(&follower->timer, POLL_MS);
		else
			begin_round(follower);
	} else if (follower->step == STEP_GROUP) {
		follower->up_since_ms = follower->stream->up_since_ms;
		enter(follower, after_group(follower, reply));
	} else if (!is_connected(follower)) {
		begin_round(follower);
	} else {
		enter(follower, steps[follower->step].take(follower, reply));
	}
}

static void follow_in(struct redis *redis, const struct source *source, struct stream *stream)
{
	struct follower *follower = mem_alloc(1, sizeof(*follower));

	follower->stream = stream;
	follower->redis = redis;
	follower->source = source;
	follower->call.done = on_reply;
	follower->timer.expired = on_timer;
	list_append(&followers, &follower->link);
	begin_round(follower);
}

static void follow(struct stream *stream)
{
	struct redis *relays = db_redis(DB_RELAY), *push = db_redis(DB_PUSH);

	follow_in(relays, &all_events, stream);
	if (push != relays)
		follow_in(push, &all_events, stream);
	if (stream->conf->remote_disable)
		follow_in(push, &gone_devices, stream);
}

static void free_follower(struct follower *follower)
{
	redis_cancel(&follower->call);
	timer_stop(&follower->timer);
	list_remove(&follower->link);
	free(follower);
}

static void unfollow(struct stream *stream)
{
	list_for_each (link, &followers) {
		struct follower *follower = container_of(link, struct follower, link);

		if (follower->stream == stream)
			free_follower(follower);
	}
}

static int start(void *config)
{
	const struct conf *conf = config;
	struct stream *stream = NULL;

	consumer = daemon_id(conf->daemon.id);
	list_init(&followers);
	if (db_redis(DB_RELAY) == NULL)
		return 0;
	metrics_add(&outcome_metric);
	while ((stream = components_next(stream)) != NULL)
		follow(stream);
	components_watch(follow, unfollow);
	return 0;
}

static void stop(void)
{
	struct list_link *first;

	components_watch(NULL, NULL);
	while ((first = list_first(&followers)) != NULL)
		free_follower(container_of(first, struct follower, link));
}

const struct daemon_module events_module = { "events", start, stop };
