/*
 * The scripts that change devices and their indexes, each at once. ARGV[1] is the prefix of our
 * keys. They touch keys that they find in other keys, so all devices live on one server.
 */
#ifndef OG_PUSHD_DEVICE_LUA_H
#define OG_PUSHD_DEVICE_LUA_H

#include "common/redis.h"

/* evict(node): takes a device and its places in the indexes away; true if it was there. */
#define DEVICE_LUA_EVICT                                                                           \
	"local prefix = ARGV[1]\n"                                                                 \
	"local function evict(node)\n"                                                             \
	"  local device = prefix .. 'device:' .. node\n"                                           \
	"  local d = redis.call('HMGET', device, 'key', 'token_hash', 'owner')\n"                  \
	"  if not d[1] then return false end\n"                                                    \
	"  local key = prefix .. 'key:' .. d[1]\n"                                                 \
	"  if redis.call('GET', key) == node then redis.call('DEL', key) end\n"                    \
	"  redis.call('ZREM', prefix .. 'token:' .. d[2], node)\n"                                 \
	"  redis.call('ZREM', prefix .. 'owner:' .. d[3], node)\n"                                 \
	"  redis.call('DEL', device)\n"                                                            \
	"  return true\n"                                                                          \
	"end\n"

/*
 * KEYS: by device key, by token, by owner. ARGV: prefix, fresh node, fresh secret, most per token,
 * most per owner, key, token hash, then fields and values. Answers node, secret, created, evicted.
 */
extern struct redis_script device_lua_register;

/*
 * KEYS: by token. ARGV: prefix, owner, component or "", provider or "". Answers how many have gone.
 */
extern struct redis_script device_lua_unregister;

/* ARGV: prefix, node. Answers 1, or 0 when it wasn't there. */
extern struct redis_script device_lua_remove;

/*
 * KEYS: the device. ARGV: prefix, node, field of the token, the token, before. Answers 1, 0 when it
 * wasn't there, -1 when it is newer or has another token.
 */
extern struct redis_script device_lua_bury;

/* KEYS: by owner. ARGV: prefix, fields. Answers the fields of each device, the newest first. */
extern struct redis_script device_lua_list;

#endif
