/*
 * One notification as a gateway hands it over (an item of POST /v1/notifications), read from JSON
 * and weighed. Pure: no loop, no storage. Reading fails with a complaint in the reader.
 */
#ifndef OG_PUSHD_PROVIDER_NOTIFICATION_H
#define OG_PUSHD_PROVIDER_NOTIFICATION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/json.h"

/* In the order in which they are sent. */
enum priority { PRIORITY_VOIP, PRIORITY_HIGH, PRIORITY_LOW, PRIORITY_COUNT };
extern const char *const priority_names[PRIORITY_COUNT];

/* What the publisher asked for. */
enum requested_priority { REQUESTED_NONE, REQUESTED_HIGH, REQUESTED_LOW };

#define NOTIFICATION_ABSENT (-1) /* of the two counts */

/* All texts are borrowed from the JSON; NULL means absent. */
struct notification {
	const char *component;
	const char *domain; /* the publisher's */
	const char *node;
	const char *secret;
	const char *module;                /* pushModule of the publish-options */
	bool summary;                      /* there was a form urn:xmpp:push:summary */
	int64_t count;                     /* message-count */
	int64_t pending;                   /* pending-subscription-count */
	const char *sender;                /* last-message-sender */
	const char *body;                  /* last-message-body */
	const char *inviter;               /* last-subscription-sender */
	enum requested_priority requested; /* tigase:push:priority:0 */
	const char *iv;                    /* tigase:push:encrypt:0, base64 as it came */
	const char *payload;
	bool voip;            /* type='voip' of it */
	const char *nickname; /* of a groupchat message's sender */
	const char *action;   /* tigase:push:jingle:0 */
	const char *sid;
	const char *meet_id; /* tigase:push:meet:0 */
	const char *meet_jid;
	const json_t *media; /* array of strings, of jingle or meet */
	bool account_removed;
};

/* Reads one item; the reader keeps the complaint. */
void notification_read(struct notification *notification, struct json_object *item);

/*
 * PRIORITY_HIGH or PRIORITY_LOW by the design's section 4 (Priority); EMPTY is the provider's
 * answer for a notification that says nothing.
 */
enum priority notification_priority(const struct notification *notification, enum priority empty);

/*
 * True for an encrypted call of high priority, which goes to a device's second token if it has one.
 */
bool notification_is_call(const struct notification *notification, enum priority priority);

#endif
