#include "pushd/delivery/refusal.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "pushd/device/bare_jid.h"
#include "pushd/device/recipient.h"

#define LINES_MAX 10 /* in a second, of each reason: strangers can make as many as they like */
#define SECOND_MS 1000

enum refusal {
	REFUSAL_NONE,
	REFUSAL_UNKNOWN_NODE,    /* also one whose device is gone */
	REFUSAL_UNKNOWN_MODULE,  /* fpush: no provider serves the module */
	REFUSAL_OTHER_COMPONENT, /* the device was registered with another component */
	REFUSAL_OTHER_DOMAIN,    /* its owner, and its room, are of another domain */
	REFUSAL_WRONG_SECRET,    /* or none, and the device has one */
	REFUSAL_COUNT
};

/* REFUSAL_NONE is never counted, so the metric begins behind it. */
static const char *const names[REFUSAL_COUNT + 1] = {
	[REFUSAL_NONE] = "none",
	[REFUSAL_UNKNOWN_NODE] = "unknown-node",
	[REFUSAL_UNKNOWN_MODULE] = "unknown-module",
	[REFUSAL_OTHER_COMPONENT] = "other-component",
	[REFUSAL_OTHER_DOMAIN] = "other-domain",
	[REFUSAL_WRONG_SECRET] = "wrong-secret",
};

static int64_t refused[REFUSAL_COUNT];
static struct metric refused_metric = {
	.name = "outrigger_pushd_publishes_refused_total",
	.help = "Notifications that were answered gone because nobody may send them, by reason.",
	.kind = METRIC_COUNTER,
	.label = "reason",
	.values = names + 1,
	.series = REFUSAL_COUNT - 1,
	.numbers = refused + 1,
};

/* The lines of one reason in the second that began at SINCE_MS. */
static struct {
	uint64_t since_ms;
	unsigned lines;
	uint64_t omitted; /* since the last line */
} told[REFUSAL_COUNT];

/* ---- who may publish ---- */

static bool same_secret(const char *ours, const char *theirs)
{
	size_t len = strlen(ours);

	return theirs != NULL && strlen(theirs) == len && CRYPTO_memcmp(ours, theirs, len) == 0;
}

/* True if GIVEN, as a caller wrote it, is the PREPARED domain of a registration. */
static bool same_domain(const char *given, const char *prepared)
{
	char *ours;
	bool same;

	if (strcasecmp(given, prepared) == 0)
		return true;
	ours = bare_jid_prepare(given);
	same = strcmp(ours, prepared) == 0;
	free(ours);
	return same;
}

/* The server of the owner publishes, or that of the room whose channel is registered. */
static bool from_server(const struct notification *notification, const struct device *device)
{
	return same_domain(notification->domain, bare_jid_domain(device->owner)) ||
	       (device->channel != NULL &&
	        same_domain(notification->domain, bare_jid_domain(device->channel)));
}

/* Where a device isn't found by its node, a module may have been meant to make it one. */
static enum refusal find_no_device(const struct notification *notification)
{
	return recipient_lacks_module(notification) ? REFUSAL_UNKNOWN_MODULE : REFUSAL_UNKNOWN_NODE;
}

static enum refusal find(const struct notification *notification, const struct device *device)
{
	if (device == NULL)
		return find_no_device(notification);
	if (!same_domain(notification->component, device->component))
		return REFUSAL_OTHER_COMPONENT;
	if (!from_server(notification, device))
		return REFUSAL_OTHER_DOMAIN;
	if (device_has_secret(device) && !same_secret(device->secret, notification->secret))
		return REFUSAL_WRONG_SECRET;
	return REFUSAL_NONE;
}

/* ---- what the operator is told ---- */

/* True if a line about WHY may be written now. */
static bool may_log(enum refusal why)
{
	uint64_t now_ms = loop_now_ms();

	if (now_ms - told[why].since_ms >= SECOND_MS) {
		told[why].since_ms = now_ms;
		told[why].lines = 0;
	}
	if (told[why].lines == LINES_MAX) {
		told[why].omitted++;
		return false;
	}
	told[why].lines++;
	return true;
}

static void tell(const struct notification *notification, enum refusal why)
{
	char node[7], module[65];

	assert(why != REFUSAL_NONE);
	metric_add(&refused_metric, (size_t)why - 1, 1);
	if (!may_log(why))
		return;
	/* Users choose these two, and must not write fields of their own into the line. */
	mem_copy_word(node, sizeof(node), notification->node);
	mem_copy_word(module, sizeof(module), notification->module);
	log_info("publish-refused reason=%s component=%s domain=%s node=%s module=%s omitted=%llu",
	         names[why], notification->component, notification->domain, node,
	         *module != '\0' ? module : "-", (unsigned long long)told[why].omitted);
	told[why].omitted = 0;
}

bool refusal_applies(const struct notification *notification, const struct device *device,
                     bool tells)
{
	enum refusal why = find(notification, device);

	if (why != REFUSAL_NONE && tells)
		tell(notification, why);
	return why != REFUSAL_NONE;
}

static int start(void *config)
{
	metrics_add(&refused_metric);
	return 0;
}

const struct daemon_module refusal_module = { "refusal", start };
