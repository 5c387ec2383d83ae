#include "common/redis/redis.h"

#include <assert.h>
#include <errno.h>
#include <hiredis/async.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/backoff.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/panic.h"
#include "common/net/resolve.h"
#include "common/redis/redis_url.h"
#include "common/text/sha1.h"

#define CALLS_MAX 65536
#define CALLS_MAX_BYTES (32u << 20)
#define END_MS 500   /* for the last commands, at the end */
#define STEP_MS 5000 /* between two checks that replies are in step */
#define REPLY_BYTES_MAX (64u << 20)
#define REPLY_OBJECTS_MAX (1u << 20)
#define TIME_MOST_MS INT64_C(253402300799999) /* the end of the year 9999 */
#if HIREDIS_MAJOR >= 1
#define ELEMENTS size_t
#else
#define ELEMENTS int
#endif

/*
 *                    retry expired             address known              login answered
 *   REDIS_AWAY ───────────────────▶ RESOLVING ───────────▶ CONNECTING ──▶ LOGIN ──────▶ READY
 *        ▲                              │                      │            │             │
 *        └──── lost(): refused, too late, broken, wrong password; retry after backoff ────┘
 */
enum redis_state { REDIS_AWAY, REDIS_RESOLVING, REDIS_CONNECTING, REDIS_LOGIN, REDIS_READY };

/*
 * The calls that have no reply yet. All have the same timeout, so they stand in the order of their
 * deadlines, and one timer, for the oldest, serves them all. Their number and bytes are bounded:
 * a call above the bound ends without a reply, in a later turn.
 */
struct calls {
	/* One that was sent is too late; it can't be taken back, so the connection must go. */
	void (*overdue)(struct calls *calls);
	uint32_t timeout_ms;
	struct list all;       /* oldest first */
	struct list unsent;    /* those of ALL that wait for a connection */
	struct list refused;   /* those that were too many; not in ALL */
	size_t count, bytes;   /* of all and refused */
	struct timer deadline; /* armed, no later than for the first of ALL, while there is one */
	struct task refuse;
};

struct redis_pending {
	struct calls *calls;     /* NULL: released while the library still knew this one */
	struct redis_call *call; /* NULL: cancelled */
	struct list_link link;   /* in all or refused */
	struct list_link in_unsent;
	uint64_t deadline_ms;
	bool sent;     /* the library has it, and gives it back once, come what may */
	char *command; /* heap, as it goes over the wire; NULL once it isn't needed any more */
	size_t len;
	const struct redis_script *script; /* to be loaded if the server doesn't know it */
};

struct redis {
	struct redis_url url;
	char *place; /* for the log */
	const char *prefix;
	void (*change)(struct redis *redis, bool connected);
	enum redis_state state;
	bool complained; /* why it is away was logged; said again only after it was up */

	struct resolve resolve;
	unsigned attempt; /* picks the address, where a name has several */
	struct backoff backoff;
	struct timer retry;   /* while away */
	struct timer connect; /* resolving, connecting and login together */
	struct timer step;    /* while ready and not being checked */
	unsigned word;        /* of the check under way */

	redisAsyncContext *context; /* NULL while away or resolving */
	struct io io;
	bool flushing;     /* hiredis writes now: what it asks for next is about what was left */
	struct task flush; /* writes what a turn has gathered, in one go */

	struct calls calls;

	size_t reply_bytes, reply_objects; /* of the reply that is being read */
	const char *fault;                 /* why a reply was refused; NULL: none was */
};

static bool transmit(struct redis *redis, struct redis_pending *pending);
static void drop(struct redis *redis, const char *why);

/* ---- calls without a reply yet ---- */

static void forget(struct redis_pending *pending)
{
	if (pending->calls != NULL) {
		pending->calls->count--;
		pending->calls->bytes -= pending->len;
	}
	if (pending->call != NULL)
		pending->call->pending = NULL;
	list_remove(&pending->link);
	list_remove(&pending->in_unsent);
	free(pending->command);
	free(pending);
}

/* Answers and frees PENDING: the last thing to do in a callback, since done() may do anything. */
static void calls_finish(struct redis_pending *pending, const struct redisReply *reply)
{
	struct redis_call *call = pending->call;

	forget(pending);
	if (call != NULL)
		call->done(call, reply);
}

/* The reply to PENDING is not wanted any more. */
static void calls_cancel(struct redis_pending *pending)
{
	if (pending->call != NULL)
		pending->call->pending = NULL;
	pending->call = NULL;
	if (!pending->sent)
		forget(pending);
}

static void finish_first(struct list *list)
{
	calls_finish(container_of(list_first(list), struct redis_pending, link), NULL);
}

/* One call at a time, for its callback may do anything; the next has its own expiry at once. */
static void on_deadline(struct timer *timer)
{
	struct calls *calls = container_of(timer, struct calls, deadline);
	struct list_link *link = list_first(&calls->all);
	const struct redis_pending *first;
	uint64_t now_ms = loop_now_ms();

	if (link == NULL)
		return;
	first = container_of(link, struct redis_pending, link);
	if (first->deadline_ms > now_ms) {
		timer_start(timer, first->deadline_ms - now_ms);
		return;
	}
	timer_start(timer, 0);
	if (first->sent)
		calls->overdue(calls);
	else
		finish_first(&calls->all);
}

static void on_refuse(struct task *task)
{
	struct calls *calls = container_of(task, struct calls, refuse);

	if (list_empty(&calls->refused))
		return;
	task_start(task);
	finish_first(&calls->refused);
}

/* Members overdue and timeout_ms are set; makes the rest ready. */
static void calls_init(struct calls *calls)
{
	calls->deadline.expired = on_deadline;
	calls->refuse.run = on_refuse;
	list_init(&calls->all);
	list_init(&calls->unsent);
	list_init(&calls->refused);
}

static void disown(struct redis_pending *pending)
{
	calls_cancel(pending);
	list_remove(&pending->link);
	pending->calls = NULL;
}

/* Forgets all calls; those that were sent stay until hiredis gives them back. */
static void calls_release(struct calls *calls)
{
	timer_stop(&calls->deadline);
	task_stop(&calls->refuse);
	list_for_each (link, &calls->refused)
		forget(container_of(link, struct redis_pending, link));
	list_for_each (link, &calls->all) {
		struct redis_pending *pending = container_of(link, struct redis_pending, link);

		if (pending->sent)
			disown(pending);
		else
			forget(pending);
	}
}

/* Takes COMMAND. CALL waits for a connection from now on, or for its refusal. */
static struct redis_pending *calls_add(struct calls *calls, struct redis_call *call, char *command,
                                       size_t len)
{
	struct redis_pending *pending = mem_alloc(1, sizeof(*pending));

	call->pending = pending;
	pending->calls = calls;
	pending->call = call;
	pending->command = command;
	pending->len = len;
	calls->count++;
	calls->bytes += len;
	if (calls->count > CALLS_MAX || calls->bytes > CALLS_MAX_BYTES) {
		list_append(&calls->refused, &pending->link);
		task_start(&calls->refuse);
		return pending;
	}
	pending->deadline_ms = loop_now_ms() + calls->timeout_ms;
	list_append(&calls->all, &pending->link);
	list_append(&calls->unsent, &pending->in_unsent);
	if (!timer_active(&calls->deadline))
		timer_start(&calls->deadline, calls->timeout_ms);
	return pending;
}

/* True if PENDING waits for a connection. */
static bool calls_waits(const struct redis_pending *pending)
{
	return list_linked(&pending->in_unsent);
}

/* hiredis has taken PENDING's command. */
static void calls_sent(struct redis_pending *pending)
{
	pending->sent = true;
	list_remove(&pending->in_unsent);
	if (pending->script != NULL)
		return;
	free(pending->command);
	pending->command = NULL;
}

/* ---- reading replies ---- */

/*
 * hiredis asserts that a reply belongs to a command, and accepts one of any size. So its makers of
 * objects are called only if this allows it; without an object hiredis ends the connection. It does
 * report an error that nobody asked for ("max number of clients reached").
 */
static bool may_take(const redisReadTask *task, size_t objects, size_t bytes)
{
	struct redis *redis = task->privdata;

	if (redis == NULL)
		return false;
	if (task->parent == NULL)
		redis->reply_bytes = redis->reply_objects = 0;
	if (task->parent == NULL && task->type != REDIS_REPLY_ERROR &&
	    redis->context->replies.head == NULL)
		redis->fault = "a reply that nobody asked for";
	redis->reply_objects += objects;
	redis->reply_bytes += bytes;
	if (redis->reply_objects > REPLY_OBJECTS_MAX || redis->reply_bytes > REPLY_BYTES_MAX)
		redis->fault = "a reply that is too large";
	return redis->fault == NULL;
}

static const redisReplyObjectFunctions *makers; /* hiredis's own */

static void *make_string(const redisReadTask *task, char *text, size_t len)
{
	return may_take(task, 1, len) ? makers->createString(task, text, len) : NULL;
}

static void *make_array(const redisReadTask *task, ELEMENTS count)
{
	return may_take(task, 1 + (size_t)count, 0) ? makers->createArray(task, count) : NULL;
}

static void *make_integer(const redisReadTask *task, long long number)
{
	return may_take(task, 1, 0) ? makers->createInteger(task, number) : NULL;
}

static void *make_nil(const redisReadTask *task)
{
	return may_take(task, 1, 0) ? makers->createNil(task) : NULL;
}

#if HIREDIS_MAJOR >= 1
/*
 * Of RESP3, which nothing here asks for. Without makers for these hiredis takes the number of the
 * type for an object, and would follow it as a pointer.
 */
static void *refuse_double(const redisReadTask *task, double number, char *text, size_t len)
{
	struct redis *redis = task->privdata;

	if (redis != NULL)
		redis->fault = "a reply of another protocol";
	return NULL;
}

static void *refuse_bool(const redisReadTask *task, int value)
{
	return refuse_double(task, value, NULL, 0);
}
#endif

static void guard_replies(struct redis *redis)
{
	static redisReplyObjectFunctions guarded;
	redisReader *reader = redis->context->c.reader;

	if (makers == NULL) {
		makers = reader->fn;
		guarded = (redisReplyObjectFunctions){
			.createString = make_string,
			.createArray = make_array,
			.createInteger = make_integer,
			.createNil = make_nil,
			.freeObject = makers->freeObject,
		};
#if HIREDIS_MAJOR >= 1
		guarded.createDouble = refuse_double;
		guarded.createBool = refuse_bool;
#endif
	}
	reader->fn = &guarded;
	reader->privdata = redis;
}

/* ---- hiredis on the loop ---- */

static void want(struct redis *redis, uint32_t events)
{
	if (events == 0)
		io_stop(&redis->io);
	else if (events != redis->io.events)
		io_insist(&redis->io, redis->context->c.fd, events);
}

static void add_read(void *data)
{
	struct redis *redis = data;

	want(redis, redis->io.events | EPOLLIN);
}

static void del_read(void *data)
{
	struct redis *redis = data;

	want(redis, redis->io.events & ~(uint32_t)EPOLLIN);
}

/* Asked for with each command: those of one turn are written together, at its end. */
static void add_write(void *data)
{
	struct redis *redis = data;

	if (redis->state > REDIS_CONNECTING && !redis->flushing) {
		task_start(&redis->flush);
		return;
	}
	redis->flushing = false;
	want(redis, redis->io.events | EPOLLOUT);
}

static void del_write(void *data)
{
	struct redis *redis = data;

	redis->flushing = false;
	task_stop(&redis->flush);
	want(redis, redis->io.events & ~(uint32_t)EPOLLOUT);
}

/*
 * hiredis may drop the connection in here, and a callback may free REDIS: touch neither after this
 * call.
 */
static void on_ready(struct io *io, uint32_t events)
{
	struct redis *redis = container_of(io, struct redis, io);
	const redisReader *reader = redis->context->c.reader;

	if (reader->len - reader->pos > REPLY_BYTES_MAX) {
		drop(redis, "a reply that is too large");
		return;
	}
	if (io->events & EPOLLOUT && events & ~(uint32_t)EPOLLIN) {
		redis->flushing = redis->state > REDIS_CONNECTING;
		redisAsyncHandleWrite(redis->context);
	} else {
		redisAsyncHandleRead(redis->context);
	}
}

static void on_flush(struct task *task)
{
	struct redis *redis = container_of(task, struct redis, flush);

	redis->flushing = true;
	redisAsyncHandleWrite(redis->context);
}

/* ---- connecting ---- */

/* From here on no event of the context reaches REDIS. */
static void detach(struct redis *redis)
{
	redis->state = REDIS_AWAY;
	resolve_stop(&redis->resolve);
	timer_stop(&redis->connect);
	timer_stop(&redis->step);
	task_stop(&redis->flush);
	io_stop(&redis->io);
	redis->flushing = false;
	redis->fault = NULL;
	if (redis->context == NULL)
		return;
	redis->context->c.reader->privdata = NULL;
	memset(&redis->context->ev, 0, sizeof(redis->context->ev));
	redis->context->data = NULL;
	redis->context = NULL;
}

/* The connection is no more, or hiredis is about to end it. */
static void lost(struct redis *redis, const char *why)
{
	bool was_ready = redis->state == REDIS_READY;

	if (redis->fault != NULL)
		why = redis->fault;
	if (redis->complained)
		log_debug("redis-away server=%s reason=\"%s\"", redis->place, why);
	else
		log_warn("redis-away server=%s reason=\"%s\"", redis->place, why);
	redis->complained = true;
	detach(redis);
	timer_start(&redis->retry, backoff_next(&redis->backoff));
	if (was_ready && redis->change != NULL)
		redis->change(redis, false);
}

/* Ends the connection from our side; hiredis then answers all that was sent with no reply. */
static void drop(struct redis *redis, const char *why)
{
	redisAsyncContext *context = redis->context;

	lost(redis, why);
	if (context != NULL)
		redisAsyncFree(context);
}

static void on_connect_timeout(struct timer *timer)
{
	drop(container_of(timer, struct redis, connect), "no connection in time");
}

static void on_overdue(struct calls *calls)
{
	drop(container_of(calls, struct redis, calls), "no answer in time");
}

/*
 * A server that has left out a reply gives each command the reply of the next one from then on,
 * and with regular commands none is ever too late. So it is asked now and then for a word that no
 * other reply is.
 */
static void on_word(redisAsyncContext *context, void *data, void *privdata)
{
	struct redis *redis = context->data;
	const char *text = redis_reply_string(data, NULL);
	char word[16];

	if (redis == NULL)
		return;
	snprintf(word, sizeof(word), "%08x", redis->word);
	if (data == NULL)
		lost(redis, context->errstr);
	else if (text == NULL || strcmp(text, word) != 0)
		drop(redis, "replies are out of step");
	else
		timer_start(&redis->step, STEP_MS);
}

static void on_step(struct timer *timer)
{
	struct redis *redis = container_of(timer, struct redis, step);

	redis->word = backoff_random();
	redisAsyncCommand(redis->context, on_word, NULL, "PING %08x", redis->word);
}

static void ready(struct redis *redis)
{
	log_info("redis-connected server=%s", redis->place);
	redis->state = REDIS_READY;
	redis->complained = false;
	redis->attempt--; /* the same address the next time */
	timer_stop(&redis->connect);
	backoff_reset(&redis->backoff);
	list_for_each (link, &redis->calls.unsent)
		transmit(redis, container_of(link, struct redis_pending, in_unsent));
	timer_start(&redis->step, STEP_MS);
	if (redis->change != NULL)
		redis->change(redis, true);
}

/* Answers to AUTH and SELECT, and to PING (LAST), with which the server shows that it serves. */
static void on_login(redisAsyncContext *context, void *data, void *last)
{
	struct redis *redis = context->data;
	const redisReply *reply = data;

	if (redis == NULL)
		return;
	if (reply == NULL)
		lost(redis, context->errstr);
	else if (reply->type == REDIS_REPLY_ERROR)
		drop(redis, reply->str);
	else if (last != NULL)
		ready(redis);
}

static void on_connected(const redisAsyncContext *context, int status)
{
	struct redis *redis = context->data;
	redisAsyncContext *ours = redis != NULL ? redis->context : NULL;

	if (redis == NULL)
		return;
	if (status != REDIS_OK) {
		lost(redis, context->errstr);
		return;
	}
	redis->state = REDIS_LOGIN;
	if (redis->url.user != NULL)
		redisAsyncCommand(ours, on_login, NULL, "AUTH %s %s", redis->url.user,
		                  redis->url.password);
	else if (redis->url.password != NULL)
		redisAsyncCommand(ours, on_login, NULL, "AUTH %s", redis->url.password);
	if (redis->url.db != 0)
		redisAsyncCommand(ours, on_login, NULL, "SELECT %u", redis->url.db);
	redisAsyncCommand(ours, on_login, redis, "PING");
}

static void on_disconnected(const redisAsyncContext *context, int status)
{
	if (context->data != NULL)
		lost(context->data, context->err != 0 ? context->errstr : "closed");
}

/* Takes what redisAsyncConnect() answered. */
static void attach(struct redis *redis, redisAsyncContext *context)
{
	if (context == NULL)
		panic("redisAsyncConnect");
	redis->context = context;
	if (context->err != 0) {
		drop(redis, context->errstr);
		return;
	}
	redis->state = REDIS_CONNECTING;
	guard_replies(redis);
	context->data = redis;
	context->ev.data = redis;
	context->ev.addRead = add_read;
	context->ev.delRead = del_read;
	context->ev.addWrite = add_write;
	context->ev.delWrite = del_write;
	redisAsyncSetConnectCallback(context, on_connected);
	redisAsyncSetDisconnectCallback(context, on_disconnected);
}

/* hiredis gets a numeric address, so that it looks nothing up. */
static void on_resolved(struct resolve *resolve, const union net_address *addresses, size_t count,
                        const char *why)
{
	struct redis *redis = container_of(resolve, struct redis, resolve);
	char text[NET_TEXT_MAX], host[NET_HOST_MAX + 1];
	uint16_t port;

	if (count == 0) {
		lost(redis, why);
		return;
	}
	net_format(&addresses[redis->attempt++ % count], text);
	if (net_split(text, host, &port) < 0)
		panic("the address %s", text);
	attach(redis, redisAsyncConnect(host, port));
}

static void on_retry(struct timer *timer)
{
	struct redis *redis = container_of(timer, struct redis, retry);

	timer_start(&redis->connect, redis->calls.timeout_ms);
	if (redis->url.path != NULL) {
		attach(redis, redisAsyncConnectUnix(redis->url.path));
		return;
	}
	redis->state = REDIS_RESOLVING;
	resolve_start(&redis->resolve, redis->url.host, redis->url.port);
}

/* ---- sending ---- */

static void on_reply(redisAsyncContext *context, void *data, void *privdata)
{
	struct redis_pending *pending = privdata;
	struct redis *redis = context->data;
	const redisReply *reply = data;
	bool unknown = reply != NULL && reply->type == REDIS_REPLY_ERROR &&
	               strncmp(reply->str, "NOSCRIPT", 8) == 0;

	/* Lost first: what a callback sends now waits for the next connection. */
	if (reply == NULL && redis != NULL)
		lost(redis, context->errstr);
	if (unknown && redis != NULL && pending->script != NULL && pending->call != NULL) {
		redisAsyncCommand(context, NULL, NULL, "SCRIPT LOAD %s", pending->script->text);
		pending->script = NULL;
		if (transmit(redis, pending))
			return;
	}
	calls_finish(pending, reply);
}

/* Hands the command to hiredis, if there is a connection that takes it. */
static bool transmit(struct redis *redis, struct redis_pending *pending)
{
	if (redis->state != REDIS_READY ||
	    redisAsyncFormattedCommand(redis->context, on_reply, pending, pending->command,
	                               pending->len) != REDIS_OK)
		return false;
	calls_sent(pending);
	return true;
}

/* Takes COMMAND, which hiredis has allocated. */
static void enqueue(struct redis *redis, struct redis_call *call, char *command, long long len,
                    const struct redis_script *script)
{
	struct redis_pending *pending;

	assert(call->pending == NULL);
	if (len <= 0)
		panic("a command of hiredis");
	pending = calls_add(&redis->calls, call, command, (size_t)len);
	pending->script = script;
	if (calls_waits(pending))
		transmit(redis, pending);
}

void redis_send(struct redis *redis, struct redis_call *call, size_t argc, const char *const *argv,
                const size_t *lens)
{
	char *command;
	long long len = redisFormatCommandArgv(&command, (int)argc, (const char **)argv, lens);

	enqueue(redis, call, command, len, NULL);
}

void redis_command(struct redis *redis, struct redis_call *call, const char *format, ...)
{
	char *command;
	long long len;
	va_list args;

	va_start(args, format);
	len = redisvFormatCommand(&command, format, args);
	va_end(args);
	enqueue(redis, call, command, len, NULL);
}

void redis_eval(struct redis *redis, struct redis_call *call, struct redis_script *script,
                const struct redis_args *args)
{
	const char **argv = mem_alloc(args->argc + 3, sizeof(*argv));
	char *command, keys[24];
	long long len;

	if (script->sha1[0] == '\0')
		sha1_text(script->text, strlen(script->text), script->sha1);
	snprintf(keys, sizeof(keys), "%zu", args->keys);
	argv[0] = "EVALSHA";
	argv[1] = script->sha1;
	argv[2] = keys;
	for (size_t i = 0; i < args->argc; i++)
		argv[3 + i] = args->argv[i];
	len = redisFormatCommandArgv(&command, (int)args->argc + 3, argv, NULL);
	free(argv);
	enqueue(redis, call, command, len, script);
}

void redis_cancel(struct redis_call *call)
{
	if (call->pending != NULL)
		calls_cancel(call->pending);
}

bool redis_busy(const struct redis_call *call)
{
	return call->pending != NULL;
}

/* ---- the connection's life ---- */

struct redis *redis_new(const struct redis_options *options)
{
	struct redis *redis = mem_alloc(1, sizeof(*redis));
	const char *why = redis_url_parse(&redis->url, options->url);

	if (why != NULL) {
		log_error("redis-url-refused reason=\"%s\"", why);
		free(redis);
		return NULL;
	}
	redis->place = redis->url.path != NULL
	                       ? mem_dup(redis->url.path)
	                       : mem_printf("%s:%u", redis->url.host, redis->url.port);
	redis->prefix = options->prefix;
	redis->calls.timeout_ms = options->timeout_ms;
	redis->calls.overdue = on_overdue;
	calls_init(&redis->calls);
	redis->backoff = (struct backoff){ .least_ms = 100, .most_ms = 3000 };
	redis->resolve.done = on_resolved;
	redis->retry.expired = on_retry;
	redis->connect.expired = on_connect_timeout;
	redis->step.expired = on_step;
	redis->io.ready = on_ready;
	redis->flush.run = on_flush;
	timer_start(&redis->retry, 0);
	return redis;
}

/*
 * Sends the last commands and reads their replies, for at most END_MS: closing a socket that has
 * unread replies sends an RST, at which Redis's kernel drops the commands that Redis hasn't read.
 */
static void send_last(redisAsyncContext *context)
{
	uint64_t end_ms = loop_now_ms() + END_MS, now_ms;
	struct pollfd item = { .fd = context->c.fd };
	static char replies[16384];
	int written = 0;
	ssize_t n = 1;

	if (context->replies.head == NULL)
		return;
	while (n > 0 && (now_ms = loop_now_ms()) < end_ms) {
		if (!written && redisBufferWrite(&context->c, &written) != REDIS_OK)
			return;
		if (written)
			shutdown(item.fd, SHUT_WR);
		item.events = written ? POLLIN : POLLIN | POLLOUT;
		if (poll(&item, 1, (int)(end_ms - now_ms)) == 1 && item.revents != POLLOUT)
			n = recv(item.fd, replies, sizeof(replies), MSG_DONTWAIT);
	}
}

void redis_free(struct redis *redis)
{
	redisAsyncContext *context;

	if (redis == NULL)
		return;
	calls_release(&redis->calls);
	if (redis->state == REDIS_READY)
		send_last(redis->context);
	context = redis->context;
	detach(redis);
	timer_stop(&redis->retry);
	redis_url_release(&redis->url);
	free(redis->place);
	free(redis);
	if (context != NULL)
		redisAsyncFree(context);
}

bool redis_connected(const struct redis *redis)
{
	return redis->state == REDIS_READY;
}

bool redis_local(const struct redis *redis, union net_address *address)
{
	return redis->context != NULL && net_local(redis->context->c.fd, address) == 0;
}

void redis_on_change(struct redis *redis, void (*change)(struct redis *redis, bool connected))
{
	redis->change = change;
}

const char *redis_place(const struct redis *redis)
{
	return redis->place;
}

const char *redis_prefix(const struct redis *redis)
{
	return redis->prefix;
}

/* ---- replies ---- */

const char *redis_reply_error(const struct redisReply *reply)
{
	return reply != NULL && reply->type == REDIS_REPLY_ERROR ? reply->str : NULL;
}

void redis_log_error(const struct redisReply *reply, const char *event, bool *logged)
{
	const char *error = redis_reply_error(reply);

	if (error == NULL || *logged)
		return;
	log_error("%s reason=\"%s\"", event, error);
	*logged = true;
}

bool redis_reply_nil(const struct redisReply *reply)
{
	return reply == NULL || reply->type == REDIS_REPLY_NIL;
}

const char *redis_reply_string(const struct redisReply *reply, size_t *len)
{
	if (reply == NULL ||
	    (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS))
		return NULL;
	if (len != NULL)
		*len = reply->len;
	return reply->str;
}

int64_t redis_reply_integer(const struct redisReply *reply, int64_t fallback)
{
	const char *text;
	char *end;
	long long number;

	if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
		return reply->integer;
	text = redis_reply_string(reply, NULL);
	if (text == NULL || strchr("-0123456789", text[0]) == NULL)
		return fallback;
	errno = 0;
	number = strtoll(text, &end, 10);
	return errno == 0 && end > text && *end == '\0' ? number : fallback;
}

int64_t redis_reply_time_ms(const struct redisReply *reply)
{
	int64_t ms = redis_reply_integer(reply, 0);

	return ms > 0 && ms <= TIME_MOST_MS ? ms : 0;
}

size_t redis_reply_count(const struct redisReply *reply)
{
	return reply != NULL && reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
}

const struct redisReply *redis_reply_at(const struct redisReply *reply, size_t index)
{
	return index < redis_reply_count(reply) ? reply->element[index] : NULL;
}

const char *redis_version(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "hiredis %d.%d.%d", HIREDIS_MAJOR, HIREDIS_MINOR,
	         HIREDIS_PATCH);
	return text;
}
