#include "relayd/api/admission.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/http/http_server.h"
#include "relayd/conf.h"
#include "relayd/quota/quota.h"
#include "relayd/stream/stream.h"

struct admission {
	struct stream *stream;
	struct quota *quota; /* being opened, owned */
	char *about;         /* owned */
	struct list waiters;
};

/* A request; it is freed when that ends, and the admission when it has lost its last one. */
struct waiter {
	struct http_request *request;
	struct admission *admission; /* NULL once it is being answered */
	struct list_link link;
	struct timer deadline;
};

static const struct relay_conf *conf;

static int start(void *config)
{
	conf = config;
	return 0;
}

/* Answers */

static void answer_active(struct http_request *request, const struct stream *stream)
{
	char hash[SOCKS5_NAME_LEN + 1];

	socks5_hash_format(stream->hash, hash);
	http_reply(request, 200, json_pack("{s:s, s:s}", "hash", hash, "state", "active"));
}

static void answer_incomplete(struct http_request *request)
{
	http_fail(request, 409, "conflict", "only one half of the stream is here");
}

static void answer_unknown(struct http_request *request)
{
	http_fail(request, 503, "unavailable", "Redis, which knows the limits, did not answer");
}

static void answer_denied(struct http_request *request, const struct denial *denial)
{
	char *text = denial_text(denial, "Transfer denied");
	const char *account;

	(void)ledger_split(denial->ledger, &account);
	http_reply(request, 403,
	           json_pack("{s:s, s:s, s:s, s:I}", "error",
	                     denial->limit < 0 ? "forbidden" : "over_limit", "message", text,
	                     "account", account, "limit", (json_int_t)denial->limit));
	free(text);
}

static void answer(struct http_request *request, const struct stream *stream,
                   enum ledger_verdict verdict, const struct denial *denial)
{
	switch (verdict) {
	case LEDGER_GRANTED:
		if (stream->state > STREAM_PAIRED)
			answer_active(request, stream);
		else
			answer_incomplete(request);
		break;
	case LEDGER_OVER:
	case LEDGER_FORBIDDEN:
		answer_denied(request, denial);
		break;
	case LEDGER_OTHER_MONTH:
	case LEDGER_UNKNOWN:
	case LEDGER_VERDICT_COUNT:
		answer_unknown(request);
		break;
	}
}

/* Waiting */

static void free_admission(struct admission *admission)
{
	admission->stream->admission = NULL;
	quota_free(admission->quota);
	free(admission->about);
	free(admission);
}

/* From here on only the request's end is waited for. True: it was the admission's last waiter. */
static bool leave(struct waiter *waiter)
{
	struct admission *admission = waiter->admission;

	timer_stop(&waiter->deadline);
	list_remove(&waiter->link);
	waiter->admission = NULL;
	return admission != NULL && list_empty(&admission->waiters);
}

static void release_waiter(void *state)
{
	struct waiter *waiter = state;
	struct admission *admission = waiter->admission;

	if (leave(waiter))
		free_admission(admission);
	free(waiter);
}

static void on_deadline(struct timer *timer)
{
	struct waiter *waiter = container_of(timer, struct waiter, deadline);
	struct admission *admission = waiter->admission;

	if (leave(waiter))
		free_admission(admission);
	answer_unknown(waiter->request);
}

static void add_waiter(struct admission *admission, struct http_request *request,
                       uint32_t deadline_ms)
{
	struct waiter *waiter = mem_alloc(1, sizeof(*waiter));

	waiter->request = request;
	waiter->admission = admission;
	waiter->deadline.expired = on_deadline;
	timer_start(&waiter->deadline, deadline_ms);
	list_append(&admission->waiters, &waiter->link);
	http_attach(request, waiter, release_waiter);
}

/* The next one that waits, for an answer; NULL after the last. */
static struct http_request *take_waiter(struct admission *admission)
{
	struct list_link *link = list_first(&admission->waiters);
	struct waiter *waiter;

	if (link == NULL)
		return NULL;
	waiter = container_of(link, struct waiter, link);
	(void)leave(waiter);
	return waiter->request;
}

static void on_opened(struct quota *quota, enum ledger_verdict verdict)
{
	struct stream *stream = quota->stream;
	struct admission *admission = stream->admission;
	struct http_request *request;

	/* A half may have left in the meantime. */
	if (verdict == LEDGER_GRANTED && stream->state == STREAM_PAIRED) {
		stream->quota = quota;
		admission->quota = NULL;
		(void)stream_activate(stream, admission->about);
		admission->about = NULL;
	}
	while ((request = take_waiter(admission)) != NULL)
		answer(request, stream, verdict, &quota->denial);
	free_admission(admission);
}

static struct admission *open_admission(struct stream *stream, const struct party *parties,
                                        char *about)
{
	struct admission *admission = mem_alloc(1, sizeof(*admission));

	list_init(&admission->waiters);
	admission->stream = stream;
	admission->about = about;
	admission->quota = quota_new(parties);
	admission->quota->opened = on_opened;
	admission->quota->stream = stream;
	stream->admission = admission;
	quota_open(admission->quota);
	return admission;
}

void admission_ask(struct http_request *request, struct stream *stream, struct wish wish)
{
	bool open = conf->verifier == VERIFIER_OPEN || stream->state != STREAM_PAIRED;

	if (open && stream_activate(stream, wish.about) == STREAM_ACTIVATED) {
		answer_active(request, stream);
	} else if (open) {
		answer_incomplete(request);
	} else if (stream->admission != NULL) {
		free(wish.about);
		add_waiter(stream->admission, request, wish.deadline_ms);
	} else {
		add_waiter(open_admission(stream, wish.parties, wish.about), request,
		           wish.deadline_ms);
	}
}

void admission_drop(struct stream *stream)
{
	struct admission *admission = stream->admission;
	struct http_request *request;

	if (admission == NULL)
		return;
	while ((request = take_waiter(admission)) != NULL)
		http_fail(request, 404, "not_found", "the stream has ended");
	free_admission(admission);
}

const struct daemon_module admission_module = { "admission", start, NULL };
