#include "pushd/delivery/refusal.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/log.h"
#include "common/base/log_rate.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "pushd/device/bare_jid.h"
#include "pushd/device/recipient.h"

/*
 * Why a notification may not be sent: constant, text. Unknown node: also one whose device is gone.
 * Unknown module: no provider has this module of fpush. Other component: the device was registered
 * with another one. Other domain: neither the owner nor the room is of the publisher's. Wrong
 * secret: also none, where the device has one.
 */
/* clang-format off */
#define REFUSALS(X)                                                                             \
	X(REFUSAL_UNKNOWN_NODE,    "unknown-node")                                              \
	X(REFUSAL_UNKNOWN_MODULE,  "unknown-module")                                            \
	X(REFUSAL_OTHER_COMPONENT, "other-component")                                           \
	X(REFUSAL_OTHER_DOMAIN,    "other-domain")                                              \
	X(REFUSAL_WRONG_SECRET,    "wrong-secret")
/* clang-format on */

#define REFUSAL_ENUM(constant, text) constant,
enum refusal { REFUSAL_NONE, REFUSALS(REFUSAL_ENUM) REFUSAL_COUNT };

#define REFUSAL_NAME(constant, text) [constant] = text,
static const char *const names[] = { [REFUSAL_NONE] = "none", REFUSALS(REFUSAL_NAME) };

#define REFUSAL_RATE(constant, text) [constant].what = "publish-refused reason=" text,
static struct log_rate rates[] = { REFUSALS(REFUSAL_RATE) };

/* REFUSAL_NONE is never counted, so the metric begins behind it. */
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

static void tell(const struct notification *notification, enum refusal why)
{
	char node[7], module[65];

	assert(why != REFUSAL_NONE);
	metric_add(&refused_metric, (size_t)why - 1, 1);
	if (!log_rate_allows(&rates[why]))
		return;
	/* Users choose these two, and must not write fields of their own into the line. */
	mem_copy_word(node, sizeof(node), notification->node);
	mem_copy_word(module, sizeof(module), notification->module);
	log_info("publish-refused reason=%s component=%s domain=%s node=%s module=%s", names[why],
	         notification->component, notification->domain, node,
	         *module != '\0' ? module : "-");
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
