/* The names under which devices are found, and those made up for them. Pure but for chance. */
#ifndef OG_PUSHD_DEVICE_DEVICE_KEY_H
#define OG_PUSHD_DEVICE_DEVICE_KEY_H

#include <stdbool.h>

#include "common/text/sha1.h"
#include "pushd/device/device.h"

#define DEVICE_KEY_HEX 65 /* a SHA-256 as hex digits, and a NUL */

/* 128 random bits: a node, a secret. */
void device_key_random(char hex[DEVICE_HEX]);

/* True for what device_key_random() makes; no app's device token is so short. */
bool device_key_is_node(const char *text);

/*
 * What makes two registrations the same device: component, owner, provider, and the device's id
 * where the dialect has one, else the token.
 */
void device_key_hash(const struct device *device, char hex[DEVICE_KEY_HEX]);

/*
 * The node of a device of the dialect fpush, whose publishes carry the token instead: the beginning
 * of its key's hash.
 */
void device_key_pin(const struct device *pin, char node[DEVICE_HEX]);

/*
 * Of the token in lower case, since the hex of APNs comes in either and who unregisters may not
 * name the kind.
 */
void device_key_token(const char *token, char hex[DEVICE_KEY_HEX]);

/* Of the token's hash TOKEN with PROVIDER, by which it is held dead. The script does the same. */
void device_key_dead(const char *provider, const char *token, char hex[SHA1_TEXT_SIZE]);

#endif
