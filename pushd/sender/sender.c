#include "pushd/sender/sender.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "pushd/credential/credential.h"
#include "pushd/provider/kinds.h"

#define ENDPOINTS_MAX 64        /* of one provider, where each token says which */
#define TRUST_REMEMBERED 200    /* the last verdicts that count */
#define TRUST_LATELY_MS 3600000 /* how recent the last success has to be */
#define TRUST_FAULTS_AT_MOST 10 /* one in so many */

/*
 * A wrong project, topic or environment, or a payload that the provider refuses, makes every token
 * look bad: so tokens are only bad while most of what is sent with the same credential arrives.
 */
struct token_trust {
	bool fault[TRUST_REMEMBERED];
	unsigned next, count, faults;
	uint64_t sent_ms; /* the last success; 0: none yet */
};

struct sender {
	const struct conf_provider *provider;
	const struct provider_kind *kind;
	struct credential *credential;
	struct credential *call_credential; /* for calls alone; NULL: the kind has none */
	struct credential_watch watch;      /* of both */
	struct provider_environments environments;
	struct pacer pacer;
	struct token_trust trust;        /* by all devices */
	struct token_trust proven_trust; /* by those to which something was sent before */
	bool doubting;                   /* the last fault of a token wasn't believed */
	size_t queue_max;
	struct list endpoints; /* least recently used, or woken first, at the front */
	size_t endpoint_count;
	/* In the configured environment and in the other; NULL: each token names its origin. */
	struct endpoint *own, *other;
	/* The same for calls, with call_credential; NULL until it has been needed. */
	struct endpoint *own_calls, *other_calls;
};

/* ---- whether a provider's word against a token is believed ---- */

static void remember(struct token_trust *trust, bool fault)
{
	if (trust->count < TRUST_REMEMBERED)
		trust->count++;
	else if (trust->fault[trust->next])
		trust->faults--;
	trust->fault[trust->next] = fault;
	if (fault)
		trust->faults++;
	trust->next = (trust->next + 1) % TRUST_REMEMBERED;
}

/* A notification was accepted at NOW_MS. */
static void trust_sent(struct token_trust *trust, uint64_t now_ms)
{
	trust->sent_ms = now_ms;
	remember(trust, false);
}

/* A token was called bad. */
static void trust_fault(struct token_trust *trust)
{
	remember(trust, true);
}

/* True while such words are believed, the last one among them. */
static bool trusts(const struct token_trust *trust, uint64_t now_ms)
{
	return trust->sent_ms != 0 && now_ms - trust->sent_ms <= TRUST_LATELY_MS &&
	       trust->faults * TRUST_FAULTS_AT_MOST <= trust->count;
}

bool sender_trusted(const struct sender *sender)
{
	uint64_t now_ms = loop_now_ms();

	/* Tokens that a stranger made up say nothing about what is ours. */
	return trusts(&sender->trust, now_ms) || trusts(&sender->proven_trust, now_ms);
}

/* ---- endpoints ---- */

static void on_endpoint_done(struct job *job);

static struct endpoint *add_endpoint(struct sender *sender, struct credential *credential,
                                     enum environment environment, const char *origin)
{
	struct endpoint *endpoint = mem_alloc(1, sizeof(*endpoint));

	endpoint->done = on_endpoint_done;
	endpoint->provider = sender->provider;
	endpoint->kind = sender->kind;
	endpoint->credential = credential;
	endpoint->pacer = &sender->pacer;
	endpoint->environment = environment;
	snprintf(endpoint->origin, sizeof(endpoint->origin), "%s", origin);
	list_append(&sender->endpoints, &endpoint->link);
	sender->endpoint_count++;
	endpoint_start(endpoint);
	return endpoint;
}

static void remove_endpoint(struct sender *sender, struct endpoint *endpoint)
{
	list_remove(&endpoint->link);
	sender->endpoint_count--;
	endpoint_stop(endpoint);
	credential_forget(endpoint->credential, endpoint->origin);
	free(endpoint);
}

/* Makes room for one more; false if all have something to do. */
static bool evict_endpoint(struct sender *sender)
{
	if (sender->endpoint_count < ENDPOINTS_MAX)
		return true;
	list_for_each (link, &sender->endpoints) {
		struct endpoint *endpoint = container_of(link, struct endpoint, link);

		if (endpoint_idle(endpoint)) {
			remove_endpoint(sender, endpoint);
			return true;
		}
	}
	return false;
}

static struct endpoint *endpoint_at(struct sender *sender, enum environment environment,
                                    const char *origin)
{
	list_for_each (link, &sender->endpoints) {
		struct endpoint *endpoint = container_of(link, struct endpoint, link);

		if (endpoint->environment == environment && strcmp(endpoint->origin, origin) == 0)
			return endpoint;
	}
	return evict_endpoint(sender)
	               ? add_endpoint(sender, sender->credential, environment, origin)
	               : NULL;
}

/* The endpoint in ENVIRONMENT where it is the same for all tokens; NULL: it isn't. */
static struct endpoint *add_fixed_endpoint(struct sender *sender, struct credential *credential,
                                           enum environment environment)
{
	char origin[PROVIDER_ORIGIN_MAX];

	if (!sender->kind->origin(sender->provider, environment, NULL, origin))
		return NULL;
	return add_endpoint(sender, credential, environment, origin);
}

/* True if calls have a credential of their own now. */
static bool has_call_credential(const struct sender *sender)
{
	return sender->call_credential != NULL &&
	       credential_material(sender->call_credential) != NULL;
}

/* The endpoint of all tokens, where there is one, for jobs of PRIORITY in ENVIRONMENT. */
static struct endpoint *fixed_endpoint(struct sender *sender, enum priority priority,
                                       enum environment environment)
{
	bool other = sender->other != NULL && environment == sender->environments.other;
	struct endpoint **calls = other ? &sender->other_calls : &sender->own_calls;

	if (priority != PRIORITY_VOIP || !has_call_credential(sender))
		return other ? sender->other : sender->own;
	if (*calls == NULL)
		*calls = add_fixed_endpoint(sender, sender->call_credential,
		                            other ? environment : sender->environments.own);
	return *calls;
}

/* Where JOB goes in ENVIRONMENT; NULL: nowhere, or there is no room for one more endpoint. */
static struct endpoint *find_endpoint(struct sender *sender, const struct job *job,
                                      enum environment environment)
{
	const char *token = provider_device_token(&job->device, job->priority);
	char origin[PROVIDER_ORIGIN_MAX];
	struct endpoint *endpoint;

	if (sender->own != NULL)
		return fixed_endpoint(sender, job->priority, environment);
	if (!sender->kind->origin(sender->provider, environment, token, origin))
		return NULL;
	endpoint = endpoint_at(sender, environment, origin);
	if (endpoint == NULL)
		return NULL;
	list_remove(&endpoint->link);
	list_append(&sender->endpoints, &endpoint->link);
	return endpoint;
}

static void on_credential(struct credential_watch *watch)
{
	struct sender *sender = container_of(watch, struct sender, watch);

	list_for_each (link, &sender->endpoints)
		endpoint_renew(container_of(link, struct endpoint, link));
}

/* Each time another one is woken first: where but one may go, it would always be the same. */
static void on_pacer_passed(struct pacer *pacer)
{
	struct sender *sender = container_of(pacer, struct sender, pacer);
	struct list_link *first = list_first(&sender->endpoints);

	if (first == NULL)
		return;
	list_remove(first);
	list_append(&sender->endpoints, first);
	list_for_each (link, &sender->endpoints)
		endpoint_wake(container_of(link, struct endpoint, link));
}

/* ---- what came of a job ---- */

static bool has_time(const struct job *job)
{
	return job->notification != NULL && loop_now_ms() < job->deadline_ms;
}

/* Where JOB's tokens worked the last time, else the configured one. */
static enum environment home_of(const struct sender *sender, const struct job *job)
{
	const struct provider_environments *sends = &sender->environments;

	return sends->other != ENVIRONMENT_UNKNOWN && job->environment == sends->other
	               ? sends->other
	               : sends->own;
}

/* Sends JOB once more, in ENVIRONMENT; false if it can't go there. */
static bool submit_again(struct job *job, enum environment environment)
{
	struct endpoint *endpoint = find_endpoint(job->sender, job, environment);

	if (endpoint == NULL)
		return false;
	job->renewed = false;
	endpoint_submit(endpoint, job);
	return true;
}

/* A token of one environment is a bad one in the other. */
static bool try_other_environment(struct job *job)
{
	const struct provider_environments *sends = &job->sender->environments;

	if (sends->other == ENVIRONMENT_UNKNOWN || job->moved ||
	    !job->judgement.other_environment || !has_time(job))
		return false;
	job->moved = true;
	job->first = job->judgement;
	return submit_again(job,
	                    job->endpoint->environment == sends->own ? sends->other : sends->own);
}

/* True if JOB went by the credential for calls alone, and that isn't taken or isn't valid. */
static bool lacks_call_credential(const struct job *job)
{
	return job->judgement.verdict == VERDICT_CREDENTIAL &&
	       job->endpoint->credential != job->sender->credential && has_time(job);
}

/* A call that doesn't fit, or whose own credential is of no use, goes as an alert to the first
 * token. */
static bool try_alert(struct job *job)
{
	if (job->priority != PRIORITY_VOIP || !(job->too_large || lacks_call_credential(job)))
		return false;
	job->priority = PRIORITY_HIGH;
	job->too_large = job->moved = false;
	return submit_again(job, home_of(job->sender, job));
}

/* No registration is deleted because of a fault on our side. */
static void weigh_token_fault(struct job *job)
{
	struct sender *sender = job->sender;
	bool doubting;

	trust_fault(&sender->trust);
	if (!job->unproven)
		trust_fault(&sender->proven_trust);
	doubting = !sender_trusted(sender);
	if (doubting && !sender->doubting)
		log_warn("tokens-doubted provider=%s reason=%s faults=%u of=%u",
		         sender->provider->id, job->judgement.reason, sender->trust.faults,
		         sender->trust.count);
	sender->doubting = doubting;
	if (doubting && job->judgement.verdict == VERDICT_GONE)
		job->judgement.verdict = VERDICT_SUSPECT;
}

static void on_endpoint_done(struct job *job)
{
	struct sender *sender = job->sender;

	if (try_other_environment(job))
		return;
	/* The other environment may be closed to this credential, which says nothing of here. */
	if (job->moved && job->judgement.verdict == VERDICT_CREDENTIAL)
		job->judgement = job->first;
	if (job->judgement.verdict == VERDICT_SENT) {
		trust_sent(&sender->trust, loop_now_ms());
		if (!job->unproven)
			trust_sent(&sender->proven_trust, loop_now_ms());
		if (job->moved)
			job->environment = job->endpoint->environment;
	} else if (job->judgement.token_fault) {
		weigh_token_fault(job);
	}
	if (!try_alert(job))
		job->done(job);
}

/* ---- the sender itself ---- */

/* 0, or -1 with *WHY and none open. */
static int open_credentials(struct sender *sender, char **why)
{
	const struct provider_kind *kind = sender->kind;

	sender->credential =
	        credential_open(sender->provider, kind->credential, &sender->watch, why);
	if (sender->credential == NULL)
		return -1;
	if (kind->call_credential == NULL)
		return 0;
	sender->call_credential =
	        credential_open(sender->provider, kind->call_credential, &sender->watch, why);
	if (sender->call_credential != NULL)
		return 0;
	credential_close(sender->credential);
	return -1;
}

struct sender *sender_new(const struct provider_kind *kind, const struct conf_provider *provider,
                          size_t queue_max, char **why)
{
	struct sender *sender = mem_alloc(1, sizeof(*sender));

	sender->provider = provider;
	sender->kind = kind;
	list_init(&sender->endpoints);
	sender->watch.changed = on_credential;
	if (open_credentials(sender, why) != 0) {
		free(sender);
		return NULL;
	}
	sender->queue_max = queue_max;
	sender->pacer.passed = on_pacer_passed;
	pacer_init(&sender->pacer, provider->rate_max);
	sender->environments.own = ENVIRONMENT_PRODUCTION;
	if (kind->environments != NULL)
		kind->environments(provider, &sender->environments);
	sender->own = add_fixed_endpoint(sender, sender->credential, sender->environments.own);
	if (sender->environments.other != ENVIRONMENT_UNKNOWN)
		sender->other =
		        add_fixed_endpoint(sender, sender->credential, sender->environments.other);
	return sender;
}

void sender_free(struct sender *sender)
{
	struct list_link *link;

	if (sender == NULL)
		return;
	while ((link = list_first(&sender->endpoints)) != NULL)
		remove_endpoint(sender, container_of(link, struct endpoint, link));
	pacer_release(&sender->pacer);
	if (sender->call_credential != NULL)
		credential_close(sender->call_credential);
	credential_close(sender->credential);
	free(sender);
}

bool sender_submit(struct sender *sender, struct job *job)
{
	struct endpoint *endpoint;

	if (sender_queued(sender) >= sender->queue_max)
		return false;
	endpoint = find_endpoint(sender, job, home_of(sender, job));
	if (endpoint == NULL)
		return false;
	job->sender = sender;
	if (job->id[0] == '\0')
		uuid_make(job->id);
	endpoint_submit(endpoint, job);
	return true;
}

bool sender_abandon(struct job *job)
{
	if (job->connection != NULL) {
		job->notification = NULL;
		return false;
	}
	sender_cancel(job);
	return true;
}

void sender_cancel(struct job *job)
{
	endpoint_cancel(job);
}

const struct conf_provider *sender_provider(const struct sender *sender)
{
	return sender->provider;
}

/* The breaker that speaks for the whole provider; NULL: none of its endpoints does. */
static const struct breaker *breaker_of(const struct sender *sender)
{
	return sender->own != NULL ? &sender->own->breaker : NULL;
}

enum sender_refusal sender_refusal(const struct sender *sender)
{
	const struct breaker *breaker = breaker_of(sender);
	int64_t rate = sender->provider->rate_max;

	if (breaker != NULL && breaker->open)
		return breaker->fault == BREAKER_CREDENTIAL ? SENDER_CREDENTIAL
		                                            : SENDER_UNREACHABLE;
	if (pacer_paused(&sender->pacer))
		return SENDER_UNREACHABLE;
	return rate > 0 && sender_queued(sender) >= (size_t)rate ? SENDER_PACED : SENDER_TAKES;
}

/* Where each token says where it goes: as much as one endpoint would take. */
static unsigned room_anywhere(const struct sender *sender)
{
	unsigned room = (unsigned)sender->provider->pool_size, pace = pacer_room(&sender->pacer);
	size_t queued = sender_queued(sender);

	if (sender->kind->protocol == PROTOCOL_H2)
		room *= sender->kind->streams_max;
	if (room > pace)
		room = pace;
	return room > queued ? room - (unsigned)queued : 0;
}

unsigned sender_room(const struct sender *sender)
{
	return sender->own != NULL ? endpoint_room(sender->own) : room_anywhere(sender);
}

bool sender_has_credential(const struct sender *sender)
{
	enum credential_state state = credential_state(sender->credential, NULL);

	return state != CREDENTIAL_ABSENT && state != CREDENTIAL_INVALID;
}

static const struct breaker *find_call_trouble(const struct sender *sender)
{
	const struct endpoint *const endpoints[] = { sender->own_calls, sender->other_calls };

	if (!has_call_credential(sender))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++)
		if (endpoints[i] != NULL && endpoints[i]->breaker.since_ms != 0)
			return &endpoints[i]->breaker;
	return NULL;
}

const char *sender_state(const struct sender *sender, struct sender_trouble *trouble)
{
	const struct breaker *breaker = breaker_of(sender);

	if (trouble != NULL)
		*trouble = (struct sender_trouble){
			.all = breaker != NULL && breaker->since_ms != 0 ? breaker : NULL,
			.calls = find_call_trouble(sender),
		};
	switch (credential_state(sender->credential, NULL)) {
	case CREDENTIAL_FAILED:
	case CREDENTIAL_ABSENT:
	case CREDENTIAL_INVALID:
		return breaker_fault_names[BREAKER_CREDENTIAL];
	case CREDENTIAL_READY:
	case CREDENTIAL_WAITING:
	case CREDENTIAL_UNREACHABLE:
		break;
	}
	return breaker != NULL && breaker->open ? breaker_fault_names[breaker->fault] : "ready";
}

size_t sender_queued(const struct sender *sender)
{
	size_t queued = 0;

	list_for_each (link, &sender->endpoints)
		queued += endpoint_queued(container_of(link, struct endpoint, link));
	return queued;
}

/* ---- all senders ---- */

static struct sender **senders;
static size_t senders_in_all;
static struct map by_id; /* struct sender */

size_t senders_count(void)
{
	return senders_in_all;
}

struct sender *senders_at(size_t index)
{
	return senders[index];
}

struct sender *senders_find(const char *id)
{
	return map_get(&by_id, id, strlen(id));
}

void senders_dump(void)
{
	for (size_t i = 0; i < senders_in_all; i++)
		log_info("provider-state provider=%s state=%s queued=%zu",
		         sender_provider(senders[i])->id, sender_state(senders[i], NULL),
		         sender_queued(senders[i]));
}

static int add_sender(const struct conf_provider *provider, size_t queue_max)
{
	char *why;
	struct sender *sender =
	        sender_new(provider_kinds[provider->kind], provider, queue_max, &why);

	if (sender == NULL) {
		log_error("provider-refused provider=%s reason=\"%s\"", provider->id, why);
		free(why);
		return -1;
	}
	senders[senders_in_all++] = sender;
	map_put(&by_id, provider->id, strlen(provider->id), sender);
	return 0;
}

static int start(void *config)
{
	const struct conf *conf = config;
	size_t providers = conf->providers.count;
	size_t queue_max = (size_t)conf->daemon.in_flight_max;

	/* Where there are several, none of them may take all the room while it stands still. */
	if (providers > 1)
		queue_max = queue_max / 2 + 1;
	endpoint_metrics();
	senders = mem_alloc(providers + 1, sizeof(struct sender *));
	for (size_t i = 0; i < providers; i++)
		if (add_sender(conf_provider(conf, i), queue_max) != 0)
			return -1;
	return 0;
}

static void stop(void)
{
	while (senders_in_all > 0)
		sender_free(senders[--senders_in_all]);
	free(senders);
	senders = NULL;
	map_release(&by_id);
}

const struct daemon_module senders_module = { "senders", start, stop };
