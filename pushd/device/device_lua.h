/*
 * The scripts that change devices and their indexes, each at once. ARGV[1] is the prefix of our
 * keys. They touch keys that they find in other keys, so all devices live on one server.
 */
#ifndef OG_PUSHD_DEVICE_DEVICE_LUA_H
#define OG_PUSHD_DEVICE_DEVICE_LUA_H

#include "common/redis/redis.h"

/*
 * KEYS: by device key, by token, by owner, the dead token. ARGV: prefix, the node and the secret of
 * a new one, most per token, most per owner (0: any number), key, token hash, life in ms (0: no
 * end), 1 if a dead token isn't to be taken, then fields and values. Answers node, secret, created,
 * evicted; 0 for a dead token.
 */
extern struct redis_script device_lua_register;

/*
 * KEYS: by token. ARGV: prefix, owner, component or "", provider or "". Answers how many have gone.
 */
extern struct redis_script device_lua_unregister;

/* ARGV: prefix, node. Answers 1, or 0 when it wasn't there. */
extern struct redis_script device_lua_remove;

/*
 * KEYS: the device. ARGV: prefix, node, field of the token, the token, before, how long to hold the
 * token dead (0: not at all, and it goes alone), the dialect whose devices are never newer, for a
 * publish made them, not the app. Answers how many have gone (1 for a second token), 0 when it
 * wasn't there, -1 when it is newer or has another token.
 */
extern struct redis_script device_lua_bury;

/*
 * KEYS: by owner. ARGV: prefix, most, fields. Answers the fields of each device, the newest first.
 */
extern struct redis_script device_lua_list;

/* ARGV: prefix, most. Removes devices that nobody renewed; answers how many. */
extern struct redis_script device_lua_sweep;

/* KEYS: the device, by expiry. ARGV: prefix, node, life in ms. */
extern struct redis_script device_lua_renew;

/*
 * KEYS: the device. ARGV: prefix, token. Answers on how many days it was suspect, with today; 0
 * when it isn't there, -1 when it has another token.
 */
extern struct redis_script device_lua_suspect;

/* KEYS: the device. ARGV: prefix, token, environment or "". It isn't suspect any more. */
extern struct redis_script device_lua_note;

#endif
