#include "common/registry.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/registry_join.lua.h"
#include "common/registry_leave.lua.h"
#include "common/registry_read.lua.h"
#include "common/text/signature.h"

#define LOG_EVERY_MS 60000

/* Redis's clock is read twice for two beats: a record whose end moved by less wasn't renewed. */
#define RENEWED_MS 100

static struct redis_script join_script = { .text = registry_join_lua };
static struct redis_script read_script = { .text = registry_read_lua };

static char *index_key(struct redis *redis, const char *kind)
{
	return mem_printf("%sregistry:%s", redis_prefix(redis), kind);
}

static char *record_key(const struct registry_entry *entry)
{
	return mem_printf("%sregistry:%s:%s", redis_prefix(entry->redis), entry->kind, entry->id);
}

/* ---- a daemon's own record ---- */

/*
 * This process among all that there are: the machine since its start, the namespace of processes (a
 * container has its own), and the number. Static.
 */
static const char *process_name(void)
{
	static char name[160];
	char namespace[64] = "", *boot;
	size_t boot_len;
	ssize_t len;

	if (name[0] != '\0')
		return name;
	boot = file_read("/proc/sys/kernel/random/boot_id", 64, &boot_len);
	len = readlink("/proc/self/ns/pid", namespace, sizeof(namespace) - 1);
	if (boot != NULL && len > 0)
		snprintf(name, sizeof(name), "%.36s/%s/%ld", boot, namespace, (long)getpid());
	else
		snprintf(name, sizeof(name), "unknown");
	free(boot);
	return name;
}

/* True if NAME was a process beside this one, and is none any more. */
static bool is_dead(const char *name)
{
	const char *own = process_name(), *slash = strrchr(own, '/');
	size_t len = slash != NULL ? (size_t)(slash - own) + 1 : 0;
	long number;

	if (name == NULL || len == 0 || strncmp(name, own, len) != 0)
		return false;
	number = strtol(name + len, NULL, 10);
	return number > 0 && kill((pid_t)number, 0) < 0 && errno == ESRCH;
}

static const char *host_name(void)
{
	static char host[NET_HOST_MAX + 1];

	if (host[0] == '\0' && gethostname(host, sizeof(host) - 1) != 0)
		snprintf(host, sizeof(host), "-");
	return host;
}

/* Logs an error if ENTRY's id is TAKEN, else that its start, or it itself, has to wait. */
static void log_other(const struct registry_entry *entry, const json_t *record, bool taken)
{
	const char *host = json_string_value(json_object_get(record, "host"));

	if (taken)
		log_error("registry-id-taken kind=%s id=%s host=%s other_host=%s "
		          "reason=\"each of them needs an id of its own\"",
		          entry->kind, entry->id, host_name(), host != NULL ? host : "-");
	else
		log_warn("registry-id-met kind=%s id=%s host=%s other_host=%s", entry->kind,
		         entry->id, host_name(), host != NULL ? host : "-");
}

/*
 * The RECORD of another process with this id expires in LEFT_MS, at EXPIRES_MS by Redis's clock. If
 * it was renewed since it was read last, there are two of them.
 */
static void wait_for_other(struct registry_entry *entry, const json_t *record, int64_t expires_ms,
                           int64_t left_ms)
{
	bool first = entry->theirs_ms == 0;
	bool renewed = !first && expires_ms > entry->theirs_ms + RENEWED_MS;

	entry->theirs_ms = expires_ms;
	if (first)
		log_other(entry, record, false);
	if (left_ms >= 0 && left_ms < REGISTRY_BEAT_MS)
		timer_start(&entry->beat, (uint64_t)left_ms + 1);
	if (!renewed || entry->joined)
		return;
	log_other(entry, record, true);
	timer_stop(&entry->beat);
	entry->taken(entry);
}

static json_t *open_other(const struct registry_entry *entry, const char *text, size_t len)
{
	json_t *record = registry_open(entry->kind, entry->id, text, len, entry->token);

	if (record == NULL)
		record = registry_open(entry->kind, entry->id, text, len, entry->token_also);
	return record;
}

static void write_record(struct registry_entry *entry, const char *replaced);

/*
 * REPLY: when the record of another process with this id expires, in how many ms that is, and its
 * text. A record that isn't the fleet's, or of a process that has died, is replaced; once a beat,
 * so that whoever writes others all the time keeps nobody busy.
 */
static void meet_other(struct registry_entry *entry, const struct redisReply *reply)
{
	size_t len = 0;
	const char *text = redis_reply_string(redis_reply_at(reply, 2), &len);
	json_t *record = text != NULL ? open_other(entry, text, len) : NULL;
	const char *process = json_string_value(json_object_get(record, "process"));

	if (record == NULL)
		registry_log_refused(entry->kind, entry->id, &entry->logged_ms);
	if (record != NULL && !is_dead(process))
		wait_for_other(entry, record, redis_reply_integer(redis_reply_at(reply, 0), 0),
		               redis_reply_integer(redis_reply_at(reply, 1), 0));
	else if (text != NULL && !entry->replacing)
		write_record(entry, text);
	json_decref(record);
}

static void on_joined(struct redis_call *call, const struct redisReply *reply)
{
	struct registry_entry *entry = container_of(call, struct registry_entry, call);
	const char *error = redis_reply_error(reply);

	if (error != NULL && !entry->refused)
		log_warn("registry-write-failed kind=%s id=%s reason=\"%s\"", entry->kind,
		         entry->id, error);
	entry->refused = error != NULL;
	if (redis_reply_count(reply) > 0) {
		meet_other(entry, reply);
	} else if (redis_reply_integer(reply, 0) == 1) {
		entry->joined = true;
		entry->theirs_ms = 0;
	}
}

static void sign(json_t *record, const struct registry_entry *entry)
{
	char *purpose = mem_printf("%s:%s", entry->kind, entry->id);

	json_object_set_new(record, "at_ms", json_integer(loop_wall_ms()));
	signature_put(record, entry->token, purpose);
	if (entry->token_also != NULL)
		signature_put(record, entry->token_also, purpose);
	free(purpose);
}

/* The text of the record; heap. */
static char *make_record(struct registry_entry *entry)
{
	json_t *record = entry->describe(entry);
	char *text;

	json_object_set_new(record, "host", json_string(host_name()));
	json_object_set_new(record, "process", json_string(process_name()));
	sign(record, entry);
	text = json_dumps(record, JSON_COMPACT);
	assert(text != NULL);
	json_decref(record);
	return text;
}

/* REPLACED: the text of another process's record that may be overwritten; NULL: none. */
static void write_record(struct registry_entry *entry, const char *replaced)
{
	char ttl[24], epoch[24], *index = index_key(entry->redis, entry->kind);
	char *key = record_key(entry), *text = make_record(entry);
	const char *argv[] = {
		index, key, entry->id, text, ttl, epoch, replaced != NULL ? replaced : ""
	};

	entry->replacing = replaced != NULL;
	entry->call.done = on_joined;
	snprintf(ttl, sizeof(ttl), "%d", REGISTRY_TTL_MS);
	snprintf(epoch, sizeof(epoch), "%lld", (long long)entry->epoch_ms);
	redis_eval(entry->redis, &entry->call, &join_script,
	           &(struct redis_args){ 2, ARRAY_LEN(argv), argv });
	free(text);
	free(key);
	free(index);
}

/* Without an answer the next beat tries again. */
static void on_connected(struct redis_call *call, const struct redisReply *reply)
{
	struct registry_entry *entry = container_of(call, struct registry_entry, call);

	if (reply != NULL)
		write_record(entry, NULL);
}

/* The record names our end of the connection, so what waits for one is a PING. */
static void write_when_connected(struct registry_entry *entry)
{
	if (redis_connected(entry->redis)) {
		write_record(entry, NULL);
		return;
	}
	entry->call.done = on_connected;
	redis_command(entry->redis, &entry->call, "PING");
}

/* A beat that Redis has not answered yet is not followed by another. */
static void on_beat(struct timer *timer)
{
	struct registry_entry *entry = container_of(timer, struct registry_entry, beat);

	if (!redis_busy(&entry->call))
		write_when_connected(entry);
	timer_start(&entry->beat, REGISTRY_BEAT_MS);
}

void registry_join(struct registry_entry *entry)
{
	entry->beat.expired = on_beat;
	registry_touch(entry);
}

void registry_touch(struct registry_entry *entry)
{
	redis_cancel(&entry->call);
	write_when_connected(entry);
	timer_start(&entry->beat, REGISTRY_BEAT_MS);
}

/*
 * The reply doesn't matter: while Redis is away the record expires by itself. EVAL sends the text
 * of the script, because the process may have ended before Redis answers that it doesn't know it.
 */
void registry_leave(struct registry_entry *entry)
{
	char *index, *key;

	if (!timer_active(&entry->beat))
		return;
	timer_stop(&entry->beat);
	redis_cancel(&entry->call);
	index = index_key(entry->redis, entry->kind);
	key = record_key(entry);
	redis_command(entry->redis, &entry->call, "EVAL %s 2 %s %s %s %lld", registry_leave_lua,
	              index, key, entry->id, (long long)entry->epoch_ms);
	redis_cancel(&entry->call);
	free(key);
	free(index);
}

/* ---- where a daemon is reached ---- */

/* A socket on the wildcard of IPv6 takes IPv4, too. */
static bool serves(const union net_address *wildcard, const union net_address *local)
{
	bool v6 = wildcard->sa.sa_family == AF_INET6;

	return local->sa.sa_family == AF_INET || (v6 && local->sa.sa_family == AF_INET6);
}

/* The place of LISTENER, where LOCAL is our end of the connection to Redis; heap. */
static char *place_of(const union net_address *listener, const union net_address *local)
{
	char text[NET_TEXT_MAX];
	union net_address address = *local;
	uint16_t port = net_port(listener);

	if (!net_is_wildcard(listener))
		return mem_dup(net_format(listener, text));
	if (!serves(listener, local))
		return mem_printf("%s:%u", host_name(), port);
	if (address.sa.sa_family == AF_INET)
		address.in.sin_port = htons(port);
	else
		address.in6.sin6_port = htons(port);
	return mem_dup(net_format(&address, text));
}

json_t *registry_place(const struct redis *redis, const char *given, const char *scheme,
                       const union net_address *listener)
{
	union net_address local = { 0 };
	char *place;
	json_t *string;

	if (listener == NULL)
		return json_null();
	if (given != NULL)
		return json_string(given);
	(void)redis_local(redis, &local);
	place = place_of(listener, &local);
	string = json_sprintf("%s%s", scheme, place);
	free(place);
	return string;
}

/* ---- all records of a kind ---- */

/* True unless RECORD, whose signature is right, was written long ago: it may be shown once more. */
static bool is_recent(const json_t *record)
{
	json_int_t at_ms = json_integer_value(json_object_get(record, "at_ms"));

	return at_ms > 0 && llabs(loop_wall_ms() - at_ms) <= REGISTRY_AGE_MS;
}

json_t *registry_open(const char *kind, const char *id, const char *text, size_t len,
                      const char *token)
{
	json_t *record = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	char *purpose = mem_printf("%s:%s", kind, id);

	if (token == NULL || !json_is_object(record) || !signature_fits(record, token, purpose) ||
	    !is_recent(record)) {
		json_decref(record);
		record = NULL;
	}
	free(purpose);
	return record;
}

void registry_log_refused(const char *kind, const char *id, uint64_t *logged_ms)
{
	if (loop_once_in(LOG_EVERY_MS, logged_ms))
		log_warn("registry-record-refused kind=%s id=%s reason=\"malformed, signed with "
		         "another api-token, or of a time that is 10 minutes from ours\"",
		         kind, id);
}

/* The reply is id, record, id, record, … */
static json_t *read_records(struct registry_watch *watch, const struct redisReply *reply)
{
	json_t *records = json_object();

	for (size_t i = 0; i + 1 < redis_reply_count(reply); i += 2) {
		size_t len = 0;
		const char *id = redis_reply_string(redis_reply_at(reply, i), NULL);
		const char *text = redis_reply_string(redis_reply_at(reply, i + 1), &len);
		json_t *record = id != NULL && text != NULL
		                         ? registry_open(watch->kind, id, text, len, watch->token)
		                         : NULL;

		if (record == NULL || json_object_set(records, id, record) < 0)
			registry_log_refused(watch->kind, id != NULL ? id : "-", &watch->logged_ms);
		json_decref(record);
	}
	return records;
}

static void on_read(struct redis_call *call, const struct redisReply *reply)
{
	struct registry_watch *watch = container_of(call, struct registry_watch, call);
	const char *error = redis_reply_error(reply);
	json_t *records;

	timer_start(&watch->again, REGISTRY_BEAT_MS);
	if (error != NULL && !watch->refused)
		log_warn("registry-read-failed kind=%s reason=\"%s\"", watch->kind, error);
	watch->refused = error != NULL;
	if (redis_reply_nil(reply) || error != NULL || redis_reply_string(reply, NULL) != NULL ||
	    redis_reply_integer(reply, 0) != 0)
		return; /* no reply of the script's */
	records = read_records(watch, reply);
	watch->changed(watch, records); /* may stop the watch */
	json_decref(records);
}

static void read_all(struct registry_watch *watch)
{
	char *index = index_key(watch->redis, watch->kind), *start = mem_printf("%s:", index);
	const char *argv[] = { index, start };

	redis_eval(watch->redis, &watch->call, &read_script,
	           &(struct redis_args){ 1, ARRAY_LEN(argv), argv });
	free(start);
	free(index);
}

static void on_again(struct timer *timer)
{
	read_all(container_of(timer, struct registry_watch, again));
}

void registry_watch_start(struct registry_watch *watch)
{
	watch->call.done = on_read;
	watch->again.expired = on_again;
	read_all(watch);
}

void registry_watch_stop(struct registry_watch *watch)
{
	redis_cancel(&watch->call);
	timer_stop(&watch->again);
}
