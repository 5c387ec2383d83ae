#include "relayd/api/activation.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/log_rate.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/http/http_server.h"
#include "relayd/api/query.h"
#include "relayd/api/streams.h"
#include "relayd/conf.h"
#include "relayd/quota/calendar.h"
#include "relayd/quota/lease.h"
#include "relayd/stream/stream.h"

#define TAG_MAX 4096 /* as compact JSON */
#define DOMAIN_MAX 1023
#define PARTIES 2
#define DEADLINE_MAX_MS 60000

/* A stream whose first lease is being taken; it goes with its last waiter. */
struct activation {
	struct stream_watch watch;
	struct stream *stream;
	struct lease *lease; /* being opened, owned */
	char *about;         /* owned */
	struct list waiters;
};

/* A request that waits for it; freed when the request ends. */
struct waiter {
	struct http_request *request;
	struct activation *activation; /* NULL once it is being answered */
	struct list_link link;
	struct timer deadline;
};

/* What a request asks for. */
struct activation_request {
	struct party parties[PARTIES]; /* texts borrowed from the body */
	char *about;                   /* parties and tag as JSON text, owned */
	uint32_t deadline_ms;          /* how long the caller waits */
};

static const struct relay_conf *conf;
static struct log_rate denied_rate = { "activation-denied" };

static int start(void *config)
{
	conf = config;
	return 0;
}

/* Replies */

static void reply_active(struct http_request *request, const struct stream *stream)
{
	char hash[SOCKS5_NAME_LEN + 1];

	socks5_hash_format(stream->hash, hash);
	http_reply(request, 200, json_pack("{s:s, s:s}", "hash", hash, "state", "active"));
}

static void reply_incomplete(struct http_request *request)
{
	http_fail(request, 409, "conflict", "only one half of the stream is here");
}

static void reply_unknown(struct http_request *request)
{
	http_fail(request, 503, "unavailable", "Redis, which knows the limits, did not answer");
}

/* Frees TEXT and EXPLANATION. */
static void reply_forbidden(struct http_request *request, const char *code, char *text,
                            char *explanation, const char *account, int64_t limit)
{
	http_reply(request, 403,
	           json_pack("{s:s, s:s, s:s, s:s, s:I}", "error", code, "message", text,
	                     "explanation", explanation, "account", account, "limit",
	                     (json_int_t)limit));
	free(explanation);
	free(text);
}

static void reply_denied(struct http_request *request, const struct denial *denial)
{
	const char *account;

	(void)ledger_split(denial->ledger, &account);
	reply_forbidden(request, denial->limit < 0 ? "forbidden" : "over_limit",
	                denial_text(denial, "Transfer denied"),
	                denial_explanation(denial, calendar_month()->end_s), account,
	                denial->limit);
}

static void reply_too_many(struct http_request *request, const struct active_excess *excess)
{
	char *text = mem_printf("%s %s has %lld transfers at this relay already",
	                        excess->is_user ? "User" : "Domain", excess->account,
	                        (long long)excess->most);
	char *explanation = mem_printf("%s. Try again when one of them has ended.", text);

	reply_forbidden(request, "too_many", text, explanation, excess->account, excess->most);
}

static void reply(struct http_request *request, const struct stream *stream,
                  enum ledger_verdict verdict, const struct denial *denial)
{
	switch (verdict) {
	case LEDGER_GRANTED:
		if (stream_is_active(stream))
			reply_active(request, stream);
		else
			reply_incomplete(request);
		break;
	case LEDGER_OVER:
	case LEDGER_FORBIDDEN:
		reply_denied(request, denial);
		break;
	case LEDGER_OTHER_MONTH:
	case LEDGER_UNKNOWN:
	case LEDGER_VERDICT_COUNT:
		reply_unknown(request);
		break;
	}
}

/* Waiting */

static void activation_free(struct activation *activation)
{
	activation->stream->watch = NULL;
	if (!stream_is_active(activation->stream))
		active_release(&activation->stream->active);
	lease_free(activation->lease);
	free(activation->about);
	free(activation);
}

/* WAITER is being answered, and goes with its request. True: it was the activation's last one. */
static bool leave(struct waiter *waiter)
{
	struct activation *activation = waiter->activation;

	timer_stop(&waiter->deadline);
	list_remove(&waiter->link);
	waiter->activation = NULL;
	return activation != NULL && list_empty(&activation->waiters);
}

static void release_waiter(void *state)
{
	struct waiter *waiter = state;
	struct activation *activation = waiter->activation;

	if (leave(waiter))
		activation_free(activation);
	free(waiter);
}

static void on_deadline(struct timer *timer)
{
	struct waiter *waiter = container_of(timer, struct waiter, deadline);
	struct activation *activation = waiter->activation;

	if (leave(waiter))
		activation_free(activation);
	reply_unknown(waiter->request);
}

static void add_waiter(struct activation *activation, struct http_request *request,
                       uint32_t deadline_ms)
{
	struct waiter *waiter = mem_alloc(1, sizeof(*waiter));

	waiter->request = request;
	waiter->activation = activation;
	waiter->deadline.expired = on_deadline;
	timer_start(&waiter->deadline, deadline_ms);
	list_append(&activation->waiters, &waiter->link);
	http_attach(request, waiter, release_waiter);
}

/* The next request that waits; NULL after the last. The caller replies to it. */
static struct http_request *take_waiter(struct activation *activation)
{
	struct list_link *link = list_first(&activation->waiters);
	struct waiter *waiter;

	if (link == NULL)
		return NULL;
	waiter = container_of(link, struct waiter, link);
	(void)leave(waiter);
	return waiter->request;
}

/* Nothing else watches streams. */
static struct activation *activation_of(const struct stream *stream)
{
	return stream->watch == NULL ? NULL : container_of(stream->watch, struct activation, watch);
}

static void on_stream_ended(struct stream_watch *watch)
{
	struct activation *activation = container_of(watch, struct activation, watch);
	struct http_request *request;

	while ((request = take_waiter(activation)) != NULL)
		http_fail(request, 404, "not_found", "the stream has ended");
	activation_free(activation);
}

static bool is_denied(enum ledger_verdict verdict)
{
	return verdict == LEDGER_OVER || verdict == LEDGER_FORBIDDEN;
}

/* USERS: the requester and the target. Whose LIMIT it is stands in ACCOUNT, which KEY names. */
static void log_denied(const struct stream *stream, const char *const users[PARTIES],
                       const char *key, const char *account, int64_t limit)
{
	char hash[SOCKS5_NAME_LEN + 1];

	if (!log_rate_allows(&denied_rate))
		return;
	socks5_hash_format(stream->hash, hash);
	log_info("activation-denied id=%s requester=%s target=%s %s=%s limit=%lld", hash, users[0],
	         users[1], key, account, (long long)limit);
}

/* ABOUT is the JSON text of the activation. */
static void log_denial(const struct stream *stream, const char *about, const struct denial *denial)
{
	json_t *object = json_loads(about, 0, NULL), *parties = json_object_get(object, "parties");
	const char *users[PARTIES];

	for (size_t i = 0; i < PARTIES; i++)
		users[i] = json_string_value(json_object_get(json_array_get(parties, i), "user"));
	log_denied(stream, users, "ledger", denial->ledger, denial->limit);
	json_decref(object);
}

/*
 * Clients don't look at the reply to an activation, and would wait for each other's bytes: at a
 * denial both halves are reset.
 */
static void deny(struct activation *activation, enum ledger_verdict verdict)
{
	struct stream *stream = activation->stream;
	const struct denial *denial = &activation->lease->denial;
	struct http_request *request;

	log_denial(stream, activation->about, denial);
	while ((request = take_waiter(activation)) != NULL)
		reply(request, stream, verdict, denial);
	activation_free(activation);
	stream_end(stream, REASON_DENIED);
}

static void on_opened(struct lease *lease, enum ledger_verdict verdict)
{
	struct stream *stream = lease->stream;
	struct activation *activation = activation_of(stream);
	struct http_request *request;

	if (is_denied(verdict)) {
		deny(activation, verdict);
		return;
	}
	/* A half may have left in the meantime. */
	if (verdict == LEDGER_GRANTED && stream->state == STREAM_PAIRED) {
		stream->lease = lease;
		activation->lease = NULL;
		(void)stream_activate(stream, activation->about);
		activation->about = NULL;
	}
	while ((request = take_waiter(activation)) != NULL)
		reply(request, stream, verdict, &lease->denial);
	activation_free(activation);
}

static struct activation *activation_new(struct stream *stream, struct activation_request *asked)
{
	struct activation *activation = mem_alloc(1, sizeof(*activation));

	list_init(&activation->waiters);
	activation->watch.ended = on_stream_ended;
	activation->stream = stream;
	activation->about = asked->about;
	asked->about = NULL;
	activation->lease = lease_open(asked->parties, on_opened);
	activation->lease->stream = stream;
	stream->watch = &activation->watch;
	return activation;
}

/* The request */

static void read_parties(struct json_object *top, struct party parties[PARTIES])
{
	size_t count = json_array_count(top, "parties", PARTIES, true);

	if (count != PARTIES) {
		json_complain(top, "parties", "must be an array of 2 objects");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct json_object party = json_object_element(top, "parties", i);
		bool charged = json_boolean_member(&party, "charged", true);

		parties[i].charged = charged;
		parties[i].user = json_string_member(
		        &party, "user", charged ? QUERY_CHARGED_MAX : QUERY_ACCOUNT_MAX, true);
		parties[i].domain = json_string_member(
		        &party, "domain", charged ? QUERY_CHARGED_MAX : DOMAIN_MAX, true);
		json_object_end(&party);
	}
}

/* Parties and tag as the stream keeps them; NULL with a complaint if the tag is too long. */
static char *about_text(struct json_object *top)
{
	const json_t *tag = json_object_member(top, "tag", false).value;
	json_t *about;
	char *text;

	if (!json_reader_ok(top->reader))
		return NULL;
	if (tag != NULL && json_dumpb(tag, NULL, 0, JSON_COMPACT) > TAG_MAX) {
		json_complain(top, "tag", "must be at most 4096 bytes");
		return NULL;
	}
	about = json_pack("{s:O, s:O?}", "parties", json_object_get(top->value, "parties"), "tag",
	                  (json_t *)tag);
	text = json_dumps(about, JSON_COMPACT);
	json_decref(about);
	return text;
}

/* False after answering 400. */
static bool read_request(struct http_request *request, const json_t *body,
                         struct activation_request *asked)
{
	struct json_reader reader = { 0 };
	struct json_object top = json_object_top(&reader, body);

	read_parties(&top, asked->parties);
	asked->deadline_ms = (uint32_t)json_integer_member(&top, "deadline_ms", 1, DEADLINE_MAX_MS,
	                                                   DEADLINE_MAX_MS);
	asked->about = about_text(&top);
	json_object_end(&top);
	if (json_reader_ok(&reader))
		return true;
	http_fail(request, 400, "bad_request", "%s", reader.complaint);
	return false;
}

/* Without limits, or where there is nothing to decide any more. Takes asked->about. */
static void activate_now(struct http_request *request, struct stream *stream,
                         struct activation_request *asked)
{
	char *about = asked->about;

	asked->about = NULL;
	if (stream_activate(stream, about) == STREAM_ACTIVATED)
		reply_active(request, stream);
	else
		reply_incomplete(request);
}

static void deny_too_many(struct http_request *request, struct stream *stream,
                          const struct activation_request *asked,
                          const struct active_excess *excess)
{
	const char *const users[] = { asked->parties[0].user, asked->parties[1].user };

	log_denied(stream, users, "too-many", excess->account, excess->most);
	reply_too_many(request, excess);
	stream_end(stream, REASON_DENIED);
}

static void activate(struct http_request *request, struct stream *stream,
                     struct activation_request *asked)
{
	struct activation *activation = activation_of(stream);
	struct active_excess excess;

	if (activation == NULL && stream->state == STREAM_PAIRED &&
	    !active_take(&stream->active, asked->parties, &excess)) {
		deny_too_many(request, stream, asked, &excess);
		return;
	}
	if (conf->verifier == VERIFIER_OPEN || stream->state != STREAM_PAIRED) {
		activate_now(request, stream, asked);
		return;
	}
	if (activation == NULL)
		activation = activation_new(stream, asked);
	add_waiter(activation, request, asked->deadline_ms);
}

static void serve(struct http_request *request)
{
	const json_t *body = http_body_json(request);
	struct activation_request asked = { 0 };
	struct stream *stream;

	if (body == NULL)
		return;
	if (read_request(request, body, &asked)) {
		stream = streams_named(request);
		if (stream != NULL)
			activate(request, stream, &asked);
	}
	free(asked.about);
}

/* clang-format off */
const struct http_route activation_routes[] = {
	{ "POST", "/v1/streams/{hash}/activate", serve },
	{ NULL },
};
/* clang-format on */

const struct daemon_module activation_module = { "activations", start, NULL };
