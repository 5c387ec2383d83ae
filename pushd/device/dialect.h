/*
 * The dialects in which apps and servers speak of devices, and what differs between them. Pure.
 */
#ifndef OG_PUSHD_DEVICE_DIALECT_H
#define OG_PUSHD_DEVICE_DIALECT_H

#include <stdbool.h>

#include "pushd/conf.h"

struct dialect {
	const char *name;  /* as in the API and in storage */
	bool registers;    /* the app does; else its server's first publish makes the device */
	bool by_device_id; /* the same device is known by its own id; else by its token */
	bool has_secret;   /* a publish must carry the device's secret */
	bool renews;       /* apps register again and again: a device has a TTL */
	bool domain_owns;  /* the owner is a server's domain, with as many devices as come */
	bool hides_owner;  /* the app knows the account by a hash, not by the JID */
	enum conf_content content; /* what its apps are told in clear, unless the provider says */
};

/* The dialects in which apps register, for a complaint. */
#define DIALECTS_REGISTERING "tigase or p2"

/* NULL when there is no such dialect. */
const struct dialect *dialect_find(const char *name);

extern const struct dialect *const dialect_fpush;

#endif
