#include "xmppgw/services/activation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/log_rate.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "xmppgw/acl.h"
#include "xmppgw/backend/api_call.h"
#include "xmppgw/db.h"
#include "xmppgw/services/bytestreams.h"
#include "xmppgw/xmpp/limit_notice.h"

/* For the relay. The requester waits 5 s, of which the look-up takes a part. */
#define DEADLINE_MS 3000
/* At once; whoever is refused beyond it, which strangers may cause, is answered all the same. */
#define DENIALS_MAX 100

/* An activation that goes on as a denial has been answered; its relay is to end the stream. */
struct activation {
	struct redis_call look_up;
	struct api_call call;
	struct list_link link;
	struct iq *iq; /* NULL: its deadline was over, so it is answered */
	char hash[BYTESTREAMS_HASH_LEN + 1];
	char path[sizeof("/v1/streams/?denied=yes") + BYTESTREAMS_HASH_LEN];
	json_t *body;            /* NULL: a denial */
	struct backend *relay;   /* that is being called; retained */
	bool call_all;           /* without Redis: after a 404 the next relay is called */
	enum iq_condition error; /* the most telling answer of the relays that were called */
};

static struct list under_way;
static unsigned denials; /* of those under way */

enum refusal { REFUSED_NOT_SERVED, REFUSED_BAD_REQUEST };

static const char *const refusal_names[] = {
	[REFUSED_NOT_SERVED] = "not-served",
	[REFUSED_BAD_REQUEST] = "bad-request",
};

static struct log_rate refusal_rates[] = {
	[REFUSED_NOT_SERVED] = { .what = "activation-refused reason=not-served" },
	[REFUSED_BAD_REQUEST] = { .what = "activation-refused reason=bad-request" },
};

static int64_t seconds[METRIC_HISTOGRAM_NUMBERS];
static struct metric seconds_metric = {
	.name = "outrigger_xmppgw_activation_seconds",
	.help = "From an activation's request to its answer.",
	.kind = METRIC_HISTOGRAM,
	.numbers = seconds,
};

static void free_activation(struct activation *activation)
{
	redis_cancel(&activation->look_up);
	api_call_cancel(&activation->call);
	if (activation->relay != NULL)
		backend_release(activation->relay);
	if (activation->body == NULL)
		denials--;
	json_decref(activation->body);
	list_remove(&activation->link);
	free(activation);
}

/* Answers, with ERROR and TEXT (may be NULL) unless the stream is ACTIVE. */
static void answer(struct activation *activation, bool active, enum iq_condition error,
                   const char *text)
{
	struct iq *iq = activation->iq;

	if (iq != NULL)
		metric_observe(&seconds_metric, (loop_now_ns() - iq->began_ns) / 1000);
	if (iq != NULL && active)
		iq_result(iq);
	else if (iq != NULL)
		iq_error(iq, error, text);
}

/* The same, and frees ACTIVATION. */
static void finish(struct activation *activation, bool active, enum iq_condition error,
                   const char *text)
{
	answer(activation, active, error, text);
	free_activation(activation);
}

/* The line about an activation of HASH that the gateway refused, or the relay for its form. */
static void log_refusal(enum refusal refusal, const char *component, const char *hash,
                        const char *requester, const char *target)
{
	if (log_rate_allows(&refusal_rates[refusal]))
		log_info("activation-refused id=%s component=%s reason=%s requester=%s target=%s",
		         hash, component, refusal_names[refusal], requester, target);
}

/*
 * XEP-0065 6.3.5 has these conditions. An exhausted quota is "not-allowed" with a text. For our own
 * trouble the type is "wait", so that the requester tries again; also where he has too many
 * transfers at once.
 */
static enum iq_condition error_of(unsigned status, const json_t *body)
{
	const char *code = json_string_value(json_object_get(body, "error"));

	switch (status) {
	case 400: /* a JID that is too long to be charged */
		return IQ_BAD_REQUEST;
	case 403:
		if (code != NULL && strcmp(code, "too_many") == 0)
			return IQ_RESOURCE_CONSTRAINT;
		return code != NULL && strcmp(code, "over_limit") == 0 ? IQ_NOT_ALLOWED
		                                                       : IQ_FORBIDDEN;
	case 404:
		return IQ_ITEM_NOT_FOUND;
	case 409:
		return IQ_NOT_ALLOWED;
	default:
		return IQ_INTERNAL_SERVER_ERROR;
	}
}

/*
 * Clients don't look at an error that answers an activation. The target isn't told: it is a name
 * that the requester wrote, so he could have strangers told without end.
 */
static void tell_requester(const struct activation *activation, const json_t *answer)
{
	struct stream *stream = activation->iq->stream;
	const json_t *tag = json_object_get(activation->body, "tag");
	const json_t *parties = json_object_get(activation->body, "parties");
	const json_t *target = json_array_get(parties, 1);

	if (stream->conf->over_quota != OVER_QUOTA_HEADLINE || !stream_is_up(stream))
		return;
	limit_notice_headline(
	        &(struct limit_notice){
	                .component = stream->domain,
	                .id = activation->hash,
	                .to = json_string_value(json_object_get(tag, "requester")),
	                .other = json_string_value(json_object_get(target, "user")),
	                .reason = api_call_message(answer, "Transfer denied"),
	                .explanation = json_string_value(json_object_get(answer, "explanation")),
	        },
	        stream_output(stream));
}

static void call_relay(struct activation *activation, struct backend *relay);

/* Without Redis: the relay after the one that was called last, or NULL. */
static struct backend *next_relay(const struct activation *activation)
{
	if (!activation->call_all)
		return NULL;
	return backend_next(activation->relay, BACKEND_RELAY);
}

/* The relay has been told of the denial. */
static void on_told(struct activation *activation, unsigned status)
{
	struct backend *next = status == 204 ? NULL : next_relay(activation);

	if (next != NULL)
		call_relay(activation, next);
	else
		free_activation(activation);
}

static void become_denial(struct activation *activation)
{
	json_decref(activation->body);
	activation->body = NULL;
	denials++;
	snprintf(activation->path, sizeof(activation->path), "/v1/streams/%s?denied=yes",
	         activation->hash);
}

/* The relay doesn't take the names, and is told that the stream has no future. */
static void on_bad_request(struct activation *activation, const json_t *body)
{
	const json_t *parties = json_object_get(activation->body, "parties");
	const json_t *tag = json_object_get(activation->body, "tag");

	log_refusal(REFUSED_BAD_REQUEST, json_string_value(json_object_get(tag, "component")),
	            activation->hash,
	            json_string_value(json_object_get(json_array_get(parties, 0), "user")),
	            json_string_value(json_object_get(json_array_get(parties, 1), "user")));
	answer(activation, false, IQ_BAD_REQUEST, api_call_message(body, NULL));
	if (denials >= DENIALS_MAX) {
		free_activation(activation);
		return;
	}
	become_denial(activation);
	call_relay(activation, activation->relay);
}

static void on_answered(struct activation *activation, unsigned status, const json_t *body)
{
	enum iq_condition error = error_of(status, body);
	bool final = status == 200 || status == 403 || activation->iq == NULL;
	struct backend *next = final ? NULL : next_relay(activation);

	if (error != IQ_ITEM_NOT_FOUND)
		activation->error = error;
	if (status == 403 && activation->iq != NULL)
		tell_requester(activation, body);
	if (next != NULL)
		call_relay(activation, next);
	else
		finish(activation, status == 200, activation->error,
		       status == 403 ? api_call_message(body, NULL) : NULL);
}

static void on_called(struct api_call *call, unsigned status, const json_t *body)
{
	struct activation *activation = container_of(call, struct activation, call);

	if (activation->body == NULL)
		on_told(activation, status);
	else if (status == 400)
		on_bad_request(activation, body);
	else
		on_answered(activation, status, body);
}

static void call_relay(struct activation *activation, struct backend *relay)
{
	backend_retain(relay);
	if (activation->relay != NULL)
		backend_release(activation->relay);
	activation->relay = relay;
	api_call_send(&activation->call, relay,
	              &(struct api_request){
	                      .method = activation->body != NULL ? "POST" : "DELETE",
	                      .path = activation->path,
	                      .json = json_incref(activation->body),
	              });
}

/* CLAIM is "ID EPOCH". NULL if that relay isn't listed any more: then its stream is gone too. */
static struct backend *find_owner(const char *claim)
{
	const char *space = strchr(claim, ' ');
	char *id = mem_dup_bytes(claim, space == NULL ? strlen(claim) : (size_t)(space - claim));
	struct backend *relay = backend_find(BACKEND_RELAY, id);

	free(id);
	return relay;
}

static void on_looked_up(struct redis_call *look_up, const struct redisReply *reply)
{
	struct activation *activation = container_of(look_up, struct activation, look_up);
	const char *claim = redis_reply_string(reply, NULL);
	struct backend *relay = claim == NULL ? NULL : find_owner(claim);
	bool wanted = activation->iq != NULL || activation->body == NULL;

	if (!wanted || reply == NULL || redis_reply_error(reply) != NULL)
		finish(activation, false, IQ_INTERNAL_SERVER_ERROR, NULL);
	else if (relay != NULL)
		call_relay(activation, relay);
	else
		finish(activation, false,
		       backend_known(BACKEND_RELAY) ? IQ_ITEM_NOT_FOUND : IQ_INTERNAL_SERVER_ERROR,
		       NULL);
}

static json_t *party(const struct jid *jid, bool charged)
{
	char user[JID_TEXT_MAX];

	return json_pack("{s:s, s:s, s:o*}", "user", jid_bare(jid, user), "domain", jid->domain,
	                 "charged", charged ? NULL : json_false());
}

/* True if the target is charged, too. */
static bool charges_target(const struct acl *acl, const struct bytestream *bytestream)
{
	switch (acl->charge) {
	case CHARGE_REQUESTER:
		return false;
	case CHARGE_SERVED:
		return acl_serves(acl, bytestream->target.domain);
	case CHARGE_BOTH:
		return true;
	}
	return false;
}

/* The requester is the first party. */
static json_t *describe(const struct stream *stream, const struct bytestream *bytestream)
{
	char requester[JID_TEXT_MAX], target[JID_TEXT_MAX];
	bool charged = charges_target(&stream->acl, bytestream);

	return json_pack("{s:[o, o], s:i, s:{s:s, s:s, s:s}}", "parties",
	                 party(&bytestream->requester, true), party(&bytestream->target, charged),
	                 "deadline_ms", DEADLINE_MS, "tag", "component", stream->domain,
	                 "requester", jid_full(&bytestream->requester, requester), "target",
	                 jid_full(&bytestream->target, target));
}

static struct activation *new_activation(const struct bytestream *bytestream)
{
	struct activation *activation = mem_alloc(1, sizeof(*activation));

	list_append(&under_way, &activation->link);
	activation->error = IQ_ITEM_NOT_FOUND;
	activation->look_up.done = on_looked_up;
	activation->call.done = on_called;
	snprintf(activation->hash, sizeof(activation->hash), "%s", bytestream->hash);
	return activation;
}

/* Finds the relay and calls it. */
static void begin(struct activation *activation)
{
	struct redis *redis = db_redis(DB_RELAY);
	struct backend *first = backend_first(BACKEND_RELAY);

	if (redis != NULL) {
		redis_command(redis, &activation->look_up, "GET %sclaim:%s", redis_prefix(redis),
		              activation->hash);
	} else if (first != NULL) {
		activation->call_all = true;
		call_relay(activation, first);
	} else {
		finish(activation, false, IQ_INTERNAL_SERVER_ERROR, NULL);
	}
}

/* Only the requester is authenticated; the target is a name that he writes. */
static bool is_served(const struct acl *acl, const struct bytestream *bytestream)
{
	return acl_serves(acl, bytestream->requester.domain) ||
	       (acl->serve == SERVE_EITHER && acl_serves(acl, bytestream->target.domain));
}

static void activate(struct iq *iq, const struct bytestream *bytestream)
{
	struct activation *activation = new_activation(bytestream);

	iq_hold(iq, &activation->iq, sizeof(*activation));
	activation->body = describe(iq->stream, bytestream);
	snprintf(activation->path, sizeof(activation->path), "/v1/streams/%s/activate",
	         activation->hash);
	begin(activation);
}

/*
 * Clients don't look at the answer, and both would wait for each other's bytes. This ends only a
 * stream that nobody has activated, and whose hash is of a text with the requester's own JID in it.
 */
static void refuse(struct iq *iq, const struct bytestream *bytestream)
{
	char requester[JID_TEXT_MAX], target[JID_TEXT_MAX];

	log_refusal(REFUSED_NOT_SERVED, iq->stream->domain, bytestream->hash,
	            jid_bare(&bytestream->requester, requester),
	            jid_bare(&bytestream->target, target));
	iq_error(iq, IQ_FORBIDDEN, BYTESTREAMS_NOT_SERVED);
	if (denials < DENIALS_MAX) {
		struct activation *activation = new_activation(bytestream);

		become_denial(activation);
		begin(activation);
	}
}

static void handle(struct iq *iq, const struct xml *query)
{
	struct bytestream bytestream;
	enum iq_condition condition;

	if (bytestreams_read(query, iq->to, &bytestream, &condition) != 0)
		iq_error(iq, condition, NULL);
	else if (!is_served(&iq->stream->acl, &bytestream))
		refuse(iq, &bytestream);
	else
		activate(iq, &bytestream);
}

const struct iq_service activation_service = {
	.kind = "activate",
	.type = "set",
	.ns = BYTESTREAMS_NS,
	.name = "query",
	.roles = ROLE_RELAY,
	.deadline_ms = IQ_DEADLINE_MS,
	.handle = handle,
};

static int start(void *config)
{
	list_init(&under_way);
	metrics_add(&seconds_metric);
	return 0;
}

static void stop(void)
{
	struct list_link *first;

	while ((first = list_first(&under_way)) != NULL)
		free_activation(container_of(first, struct activation, link));
}

const struct daemon_module activation_module = { "activation", start, stop };
