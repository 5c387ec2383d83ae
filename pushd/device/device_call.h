/* How the scripts about devices are called, and how their answers are read. */
#ifndef OG_PUSHD_DEVICE_DEVICE_CALL_H
#define OG_PUSHD_DEVICE_DEVICE_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "pushd/device/device.h"

/* The fields of a device that are read, in this order. */
enum device_field {
	DEVICE_NODE,
	DEVICE_SECRET,
	DEVICE_COMPONENT,
	DEVICE_OWNER,
	DEVICE_PROVIDER,
	DEVICE_TOKEN,
	DEVICE_SECOND_TOKEN,
	DEVICE_ID,
	DEVICE_DIALECT,
	DEVICE_ACCOUNT,
	DEVICE_ENVIRONMENT,
	DEVICE_REGISTERED,
	DEVICE_EXPIRES,
	DEVICE_SUSPECT_DAYS,
	DEVICE_FIELDS
};

extern const char *const device_field_names[DEVICE_FIELDS];

/* The arguments of a script, with the texts that were made for it. All zeros: none. */
struct device_arguments {
	const char *values[48];
	size_t count;
	char *owned[12];
	size_t owned_count;
};

void device_argument(struct device_arguments *arguments, const char *value); /* borrowed */
void device_argument_number(struct device_arguments *arguments, int64_t number);

/* A field's name and value, unless VALUE (borrowed) is NULL. */
void device_argument_field(struct device_arguments *arguments, enum device_field field,
                           const char *value);

/* The key `push:WHATNAME` with our prefix. */
void device_argument_key(struct device_arguments *arguments, struct redis *redis, const char *what,
                         const char *name);

/* The same key, on the heap. */
char *device_call_key(struct redis *redis, const char *what, const char *name);

/* Runs SCRIPT and frees what ARGUMENTS own; the first KEYS of them are keys. */
void device_call(struct redis *redis, struct redis_call *call, struct redis_script *script,
                 size_t keys, struct device_arguments *arguments);

/* The same for what nobody waits for: best effort, dropped while too many are under way. */
void device_call_unheard(struct redis *redis, struct redis_script *script, size_t keys,
                         struct device_arguments *arguments);

/* STORED_AWAY; says once what Redis has against us, until device_call_served(). */
enum stored device_call_away(const struct redisReply *reply);
void device_call_served(void);

#endif
