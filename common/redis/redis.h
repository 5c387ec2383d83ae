/*
 * One asynchronous connection to Redis (hiredis) that mends itself: it connects in the background
 * with backoff, logs in, selects the database, and gives each command a deadline. A command that is
 * given while there is no connection waits for one until that deadline. A call's callback runs
 * exactly once, in a later turn, unless redis_cancel() came first.
 *
 * A NULL reply means that Redis did not answer (away, too late, or lost in the middle: the command
 * may or may not have run). An error reply of Redis is given as it is: see redis_reply_error().
 */
#ifndef OG_COMMON_REDIS_REDIS_H
#define OG_COMMON_REDIS_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/net/net.h"

struct redis;
struct redisReply; /* hiredis's; read it with the functions below */

struct redis_options {
	const char *url;    /* in the form that redis_url.h tells; borrowed for redis_new() */
	const char *prefix; /* of every key, "og:" by default; borrowed for the connection's life */
	uint32_t timeout_ms; /* of a command, and of connecting */
};

struct redis_call {
	void (*done)(struct redis_call *call, const struct redisReply *reply); /* reply: borrowed */
	struct redis_pending *pending; /* the module's; NULL: idle */
};

/* A Lua script: initialise with its text; sha1 is filled at first use. */
struct redis_script {
	const char *text;
	char sha1[41];
};

/* What a script is given; borrowed for the call that takes it. */
struct redis_args {
	size_t keys; /* how many of ARGV, from its start, are keys */
	size_t argc;
	const char *const *argv;
};

/* Reads the URL and starts connecting. NULL, and the log says why, when the URL isn't one. */
struct redis *redis_new(const struct redis_options *options);

/* Closes the connection; done doesn't run for calls under way. */
void redis_free(struct redis *redis);

/* True while commands go out at once. */
bool redis_connected(const struct redis *redis);

/* This end of the connection (of family AF_UNIX where it is a unix socket); false without one. */
bool redis_local(const struct redis *redis, union net_address *address);

/* Called (if set) each time the connection has come up or gone. */
void redis_on_change(struct redis *redis, void (*change)(struct redis *redis, bool connected));

/* The server, for people: host:port or a path; borrowed. */
const char *redis_place(const struct redis *redis);

/* The prefix of keys. */
const char *redis_prefix(const struct redis *redis);

/*
 * Sends a command of ARGC byte strings. call->done must be set, and CALL idle. LENS NULL: strlen().
 */
void redis_send(struct redis *redis, struct redis_call *call, size_t argc, const char *const *argv,
                const size_t *lens);

/* The same, formatted as hiredis does: "%s" strings, "%b" bytes and length, "%lld" numbers. */
void redis_command(struct redis *redis, struct redis_call *call, const char *format, ...);

/*
 * Runs SCRIPT by EVALSHA. If the server doesn't know it (NOSCRIPT), it is loaded and run again, so
 * it may run after calls that were sent later. SCRIPT stays in place until done.
 */
void redis_eval(struct redis *redis, struct redis_call *call, struct redis_script *script,
                const struct redis_args *args);

/* Forgets CALL: done won't run (the command may still be executed). Does nothing when idle. */
void redis_cancel(struct redis_call *call);

/* True between sending and done. */
bool redis_busy(const struct redis_call *call);

/* The text of an error reply, else NULL. */
const char *redis_reply_error(const struct redisReply *reply);

/*
 * Logs an error reply as "EVENT reason=…" and sets *LOGGED. Does nothing if *LOGGED is set (the
 * owner resets it when Redis serves again), or if REPLY is no error or NULL.
 */
void redis_log_error(const struct redisReply *reply, const char *event, bool *logged);

/* True for nil (also for no reply at all). */
bool redis_reply_nil(const struct redisReply *reply);

/* The bytes (NUL behind them) of a string or status reply, else NULL; LEN may be NULL. */
const char *redis_reply_string(const struct redisReply *reply, size_t *len);

/* An integer reply, or a string reply that is one; FALLBACK otherwise. */
int64_t redis_reply_integer(const struct redisReply *reply, int64_t fallback);

/* The same as a time in ms since 1970, up to the year 9999; 0 if it is none. */
int64_t redis_reply_time_ms(const struct redisReply *reply);

/* The elements of an array reply; 0 and NULL for anything else or past the end. */
size_t redis_reply_count(const struct redisReply *reply);
const struct redisReply *redis_reply_at(const struct redisReply *reply, size_t index);

/* The library's name and version (static). */
const char *redis_version(void);

#endif
