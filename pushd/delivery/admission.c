#include "pushd/delivery/admission.h"

#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "pushd/delivery/keeper.h"
#include "pushd/delivery/merge.h"
#include "pushd/device/addressee.h"
#include "pushd/device/bare_jid.h"
#include "pushd/sender/sender.h"

#define CALL_EXPIRY_MS 30000 /* nobody answers a call that is older */

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
		.component = keep(delivery, device->component),
		.owner = keep(delivery, device->owner),
		.provider = keep(delivery, device->provider),
		.token = keep(delivery, device->token),
		.second_token = keep(delivery, device->second_token),
		.device_id = keep(delivery, device->device_id),
		.dialect = keep(delivery, device->dialect),
		.account = keep(delivery, device->account),
		.environment = keep(delivery, device->environment),
		.registered_ms = device->registered_ms,
		.expires_ms = device->expires_ms,
		.suspect_days = device->suspect_days,
	};
}

/* How urgent it is, and until when it is of use; of one from the store that is known. */
static void weigh(struct delivery *delivery)
{
	const struct conf_provider *provider = sender_provider(delivery->sender);
	const struct notification *notification = &delivery->notification;
	bool second = delivery->device.second_token != NULL;

	if (delivery->stored) {
		if (delivery->priority == PRIORITY_VOIP && !second)
			delivery->priority = PRIORITY_HIGH;
		return;
	}
	delivery->priority = notification_priority(
	        notification, provider->empty == CONF_EMPTY_LOW ? PRIORITY_LOW : PRIORITY_HIGH);
	if (second && notification_is_call(notification, delivery->priority))
		delivery->priority = PRIORITY_VOIP;
	delivery->expires_ms =
	        delivery->created_ms +
	        (delivery->priority == PRIORITY_VOIP ? CALL_EXPIRY_MS : provider->expiry_ms);
}

/* It may go on; what it waits for, and what waits for it, is said by its device's seat. */
static void admit(struct delivery *delivery)
{
	weigh(delivery);
	/* Also without an interval: a device that gets too many has one waiting. */
	delivery->slotted = (delivery_interval_ms(delivery) > 0 || delivery->query.waiting) &&
	                    !merge_bypasses(&delivery->notification, delivery->priority);
	if (delivery->slotted)
		delivery->seat = seat_hold(deliveries_seats(), delivery->device.node);
	delivery_dispatch(delivery);
}

/* What was answered `queued` isn't given up for what may pass. */
static void refuse(struct delivery *delivery, const char *reason)
{
	if (delivery->stored)
		keeper_postpone(delivery, DELIVERY_RETRY_MS);
	else
		delivery_finish(delivery, OUTCOME_UNAVAILABLE, reason);
}

static void on_found(struct device_query *query, enum stored stored, const struct device *device,
                     size_t count)
{
	struct delivery *delivery = container_of(query, struct delivery, query);

	if (stored == STORED_AWAY) {
		refuse(delivery, "storage");
		return;
	}
	if (stored != STORED_DONE || !may_publish(&delivery->notification, device)) {
		delivery_finish(delivery, OUTCOME_GONE, NULL);
		return;
	}
	keep_device(delivery, device);
	delivery->sender = senders_find(device->provider);
	if (delivery->sender == NULL) {
		log_warn("provider-unknown provider=%s node=%.6s", device->provider, device->node);
		refuse(delivery, "provider-unknown");
		return;
	}
	admit(delivery);
}

void admission_start(struct delivery *delivery)
{
	delivery->query.done = on_found;
	addressee_find(&delivery->query, &delivery->notification);
}
