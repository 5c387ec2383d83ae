#include "pushd/delivery.h"

#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "pushd/addressee.h"
#include "pushd/bare_jid.h"
#include "pushd/senders.h"
#include "pushd/storage.h"

const char *const outcome_names[OUTCOME_COUNT + 1] = {
	"sent", "queued", "merged", "gone", "unavailable",
};

static struct {
	struct list deliveries;
	size_t count, max;
	void (*idle)(void);
} self;

static int64_t removed_number;
static struct metric removed_metric = {
	.name = "outrigger_pushd_devices_dead_total",
	.help = "Devices removed because the provider said that they are gone.",
	.kind = METRIC_COUNTER,
	.numbers = &removed_number,
};

static int64_t read_count(void)
{
	return (int64_t)self.count;
}

static struct metric count_metric = {
	.name = "outrigger_pushd_notifications_in_flight",
	.help = "Notifications that have no outcome yet.",
	.kind = METRIC_GAUGE,
	.read = read_count,
};

size_t deliveries_count(void)
{
	return self.count;
}

void deliveries_on_idle(void (*idle)(void))
{
	self.idle = idle;
}

/* ---- the end ---- */

static void settle(struct delivery *delivery, enum outcome outcome, const char *reason)
{
	delivery->outcome = outcome;
	provider_copy_text(delivery->reason, sizeof(delivery->reason), reason);
	if (log_debugging())
		log_debug("notification-settled node=%.6s outcome=%s reason=%s id=%s",
		          delivery->device.node != NULL ? delivery->device.node : "-",
		          outcome_names[outcome], delivery->reason, delivery->id);
	arena_release(&delivery->arena);
	list_remove(&delivery->link);
	self.count--;
	delivery->settled(delivery);
	if (self.count == 0 && self.idle != NULL)
		self.idle();
}

/* ---- what the provider said ---- */

static void submit(struct delivery *delivery, struct sender *sender);

/* The app's second token is dead; the call goes to the first one as an alert. */
static void on_second_buried(struct device_removal *removal, enum stored stored)
{
	struct delivery *delivery = container_of(removal, struct delivery, removal);
	struct sender *sender = delivery->job.sender;

	if (delivery->abandoned) {
		settle(delivery, OUTCOME_UNAVAILABLE, "second-token-gone");
		return;
	}
	if (stored == STORED_ABSENT) {
		settle(delivery, OUTCOME_GONE, NULL);
		return;
	}
	delivery->device.second_token = NULL;
	submit(delivery, sender);
}

static void on_buried(struct device_removal *removal, enum stored stored)
{
	struct delivery *delivery = container_of(removal, struct delivery, removal);

	switch (stored) {
	case STORED_DONE:
		metric_add(&removed_metric, 0, removal->count);
		log_info("device-gone provider=%s node=%.6s reason=%s",
		         sender_provider(delivery->job.sender)->id, delivery->device.node,
		         delivery->job.judgement.reason);
		settle(delivery, OUTCOME_GONE, NULL);
		return;
	case STORED_ABSENT:
		settle(delivery, OUTCOME_GONE, NULL);
		return;
	case STORED_NEWER:
		settle(delivery, OUTCOME_UNAVAILABLE, "registered-since");
		return;
	case STORED_AWAY:
		settle(delivery, OUTCOME_UNAVAILABLE, "storage");
		return;
	}
}

static void bury(struct delivery *delivery)
{
	const struct judgement *judgement = &delivery->job.judgement;
	bool second = delivery->job.priority == PRIORITY_VOIP;
	int64_t before_ms = judgement->timestamp_ms;

	/* Without a time of the provider's: as the registration was when we read it, no newer. */
	if (before_ms <= 0)
		before_ms = delivery->device.registered_ms;
	delivery->removal.done = second ? on_second_buried : on_buried;
	device_bury(&delivery->removal, storage_redis(), &delivery->device, second, before_ms);
}

static void on_account_gone(struct device_removal *removal, enum stored stored)
{
	settle(container_of(removal, struct delivery, removal), OUTCOME_SENT, NULL);
}

static void on_sent(struct delivery *delivery)
{
	memcpy(delivery->id, delivery->job.judgement.id, sizeof(delivery->id));
	if (!delivery->notification.account_removed) {
		settle(delivery, OUTCOME_SENT, NULL);
		return;
	}
	/*
	 * The account has gone from its server, so nothing will be published to this node again,
	 * unless its device has come once more since.
	 */
	delivery->removal.done = on_account_gone;
	device_dismiss(&delivery->removal, storage_redis(), &delivery->device);
}

static void on_job_done(struct job *job)
{
	struct delivery *delivery = container_of(job, struct delivery, job);
	const char *reason = job->judgement.reason;

	delivery->in_sender = false;
	switch (job->judgement.verdict) {
	case VERDICT_SENT:
		on_sent(delivery);
		return;
	case VERDICT_GONE:
		bury(delivery);
		return;
	case VERDICT_SUSPECT:
	case VERDICT_REJECTED:
	case VERDICT_TOO_LARGE:
	case VERDICT_THROTTLED:
		log_info("notification-refused provider=%s node=%.6s id=%s reason=%s",
		         sender_provider(job->sender)->id, delivery->device.node, job->id, reason);
		break;
	default:
		break;
	}
	settle(delivery, OUTCOME_UNAVAILABLE, reason);
}

/* ---- the way there ---- */

static void submit(struct delivery *delivery, struct sender *sender)
{
	const struct notification *notification = &delivery->notification;
	enum priority empty =
	        sender_provider(sender)->empty == CONF_EMPTY_LOW ? PRIORITY_LOW : PRIORITY_HIGH;
	enum priority priority = notification_priority(notification, empty);

	if (delivery->device.second_token != NULL && notification_is_call(notification, priority))
		priority = PRIORITY_VOIP;
	delivery->job = (struct job){
		.done = on_job_done,
		.notification = notification,
		.device = &delivery->device,
		.priority = priority,
		.deadline_ms = delivery->deadline_ms,
	};
	delivery->in_sender = sender_submit(sender, &delivery->job);
	if (!delivery->in_sender)
		settle(delivery, OUTCOME_UNAVAILABLE, "full");
}

static bool same_secret(const char *ours, const char *theirs)
{
	size_t len = strlen(ours);

	return theirs != NULL && strlen(theirs) == len && CRYPTO_memcmp(ours, theirs, len) == 0;
}

/* Every "no" gets the answer of an unknown node, so that nobody can try things out. */
static bool may_publish(const struct notification *notification, const struct device *device)
{
	return strcasecmp(notification->component, device->component) == 0 &&
	       strcasecmp(notification->domain, bare_jid_domain(device->owner)) == 0 &&
	       (!device_has_secret(device) || same_secret(device->secret, notification->secret));
}

static const char *keep(struct delivery *delivery, const char *text)
{
	return text != NULL ? arena_dup(&delivery->arena, text, strlen(text)) : NULL;
}

/* What is needed later. */
static void keep_device(struct delivery *delivery, const struct device *device)
{
	delivery->device = (struct device){
		.node = keep(delivery, device->node),
		.token = keep(delivery, device->token),
		.second_token = keep(delivery, device->second_token),
		.account = keep(delivery, device->account),
		.registered_ms = device->registered_ms,
	};
}

static void on_found(struct device_query *query, enum stored stored, const struct device *device,
                     size_t count)
{
	struct delivery *delivery = container_of(query, struct delivery, query);
	struct sender *sender;

	if (stored == STORED_AWAY) {
		settle(delivery, OUTCOME_UNAVAILABLE, "storage");
		return;
	}
	if (stored != STORED_DONE || !may_publish(&delivery->notification, device)) {
		settle(delivery, OUTCOME_GONE, NULL);
		return;
	}
	sender = senders_find(device->provider);
	if (sender == NULL) {
		log_warn("provider-unknown provider=%s node=%.6s", device->provider, device->node);
		settle(delivery, OUTCOME_UNAVAILABLE, "provider-unknown");
		return;
	}
	keep_device(delivery, device);
	submit(delivery, sender);
}

void delivery_start(struct delivery *delivery)
{
	list_append(&self.deliveries, &delivery->link);
	self.count++;
	if (self.count > self.max) {
		settle(delivery, OUTCOME_UNAVAILABLE, "full");
		return;
	}
	delivery->query.done = on_found;
	addressee_find(&delivery->query, &delivery->notification);
}

void delivery_abandon(struct delivery *delivery)
{
	delivery->abandoned = true;
	if (device_query_busy(&delivery->query)) {
		device_query_cancel(&delivery->query);
		settle(delivery, OUTCOME_UNAVAILABLE, "deadline");
	} else if (delivery->in_sender && sender_abandon(&delivery->job)) {
		settle(delivery, OUTCOME_UNAVAILABLE, "deadline");
	}
}

/* ---- the module ---- */

int deliveries_start(void *config)
{
	const struct conf *conf = config;

	list_init(&self.deliveries);
	self.max = (size_t)conf->daemon.in_flight_max;
	metrics_add(&removed_metric);
	metrics_add(&count_metric);
	return 0;
}

void deliveries_stop(void)
{
	self.idle = NULL;
	list_for_each (link, &self.deliveries) {
		struct delivery *delivery = container_of(link, struct delivery, link);

		device_query_cancel(&delivery->query);
		redis_cancel(&delivery->removal.call);
		if (delivery->in_sender)
			sender_cancel(&delivery->job);
		settle(delivery, OUTCOME_UNAVAILABLE, "stopping");
	}
}
