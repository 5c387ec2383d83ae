#include "pushd/device/device_lua.h"

/* clang-format off */

/* evict(node): takes a device and its places in the indexes away; true if it was there. */
#define EVICT \
	"local prefix = ARGV[1] .. 'push:'\n" \
	"local function evict(node)\n" \
	"  local device = prefix .. 'device:' .. node\n" \
	"  local d = redis.call('HMGET', device, 'key', 'token_hash', 'owner')\n" \
	"  if not d[1] then return false end\n" \
	"  local key = prefix .. 'key:' .. d[1]\n" \
	"  if redis.call('GET', key) == node then redis.call('DEL', key) end\n" \
	"  redis.call('ZREM', prefix .. 'token:' .. d[2], node)\n" \
	"  redis.call('ZREM', prefix .. 'owner:' .. d[3], node)\n" \
	"  redis.call('ZREM', prefix .. 'expiry', node)\n" \
	"  redis.call('DEL', device)\n" \
	"  return true\n" \
	"end\n"

#define NOW \
	"local time = redis.call('TIME')\n" \
	"local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"

struct redis_script device_lua_register = { EVICT NOW
	"if ARGV[9] == '1' and redis.call('EXISTS', KEYS[4]) == 1 then return 0 end\n"
	"local evicted = 0\n"
	"local function limit(index, most, keep)\n"
	"  local excess = redis.call('ZCARD', index) - most\n"
	"  if most == 0 or excess <= 0 then return end\n"
	"  for _, node in ipairs(redis.call('ZRANGE', index, 0, excess)) do\n"
	"    if excess > 0 and node ~= keep then\n"
	"      if evict(node) then evicted = evicted + 1 end\n"
	"      redis.call('ZREM', index, node)\n"
	"      excess = excess - 1\n"
	"    end\n"
	"  end\n"
	"end\n"
	"local node, secret, created = redis.call('GET', KEYS[1]), false, 0\n"
	"if node then secret = redis.call('HGET', prefix .. 'device:' .. node, 'secret') end\n"
	"if secret then\n"
	"  evict(node)\n"
	"else\n"
	"  node, secret, created = ARGV[2], ARGV[3], 1\n"
	"end\n"
	"local device, life = prefix .. 'device:' .. node, tonumber(ARGV[8])\n"
	"redis.call('HSET', device, 'node', node, 'secret', secret, 'registered', now,\n"
	"  'key', ARGV[6], 'token_hash', ARGV[7], unpack(ARGV, 10))\n"
	"if life > 0 then\n"
	"  redis.call('HSET', device, 'expires', now + life)\n"
	"  redis.call('ZADD', prefix .. 'expiry', now + life, node)\n"
	"end\n"
	"redis.call('SET', KEYS[1], node)\n"
	"redis.call('ZADD', KEYS[2], now, node)\n"
	"redis.call('ZADD', KEYS[3], now, node)\n"
	"redis.call('DEL', KEYS[4])\n"
	"limit(KEYS[2], tonumber(ARGV[4]), node)\n"
	"limit(KEYS[3], tonumber(ARGV[5]), node)\n"
	"return { node, secret, created, evicted }\n" };

struct redis_script device_lua_unregister = { EVICT
	"local removed = 0\n"
	"for _, node in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do\n"
	"  local device = prefix .. 'device:' .. node\n"
	"  local d = redis.call('HMGET', device, 'owner', 'component', 'provider')\n"
	"  if not d[1] then\n"
	"    redis.call('ZREM', KEYS[1], node)\n"
	"  elseif d[1] == ARGV[2] and (ARGV[3] == '' or d[2] == ARGV[3])\n"
	"    and (ARGV[4] == '' or d[3] == ARGV[4]) and evict(node) then\n"
	"    removed = removed + 1\n"
	"  end\n"
	"end\n"
	"return removed\n" };

struct redis_script device_lua_remove = { EVICT
	"return evict(ARGV[2]) and 1 or 0\n" };

struct redis_script device_lua_bury = { EVICT
	"local d = redis.call('HMGET', KEYS[1], 'token_hash', 'registered', 'provider', ARGV[3],\n"
	"  'dialect')\n"
	"local gone, left = 0, false\n"
	"local function newer(registered, dialect)\n"
	"  return dialect ~= ARGV[7] and tonumber(registered) > tonumber(ARGV[5])\n"
	"end\n"
	"if not d[1] then return 0 end\n"
	"if d[4] ~= ARGV[4] or newer(d[2], d[5]) then return -1 end\n"
	"if ARGV[3] ~= 'token' then\n"
	"  redis.call('HDEL', KEYS[1], ARGV[3])\n"
	"  return 1\n"
	"end\n"
	"if evict(ARGV[2]) then gone = 1 end\n"
	"if ARGV[6] == '0' then return gone end\n"
	"for _, node in ipairs(redis.call('ZRANGE', prefix .. 'token:' .. d[1], 0, -1)) do\n"
	"  local o = redis.call('HMGET', prefix .. 'device:' .. node, 'registered', 'provider',\n"
	"    'token', 'dialect')\n"
	"  if o[2] == d[3] and o[3] == d[4] then\n"
	"    if newer(o[1], o[4]) then left = true\n"
	"    elseif evict(node) then gone = gone + 1 end\n"
	"  end\n"
	"end\n"
	"if not left then\n"
	"  redis.call('SET', prefix .. 'dead:' .. redis.sha1hex(d[3] .. ':' .. d[1]), 1,\n"
	"    'PX', ARGV[6])\n"
	"end\n"
	"return gone\n" };

struct redis_script device_lua_list = {
	"local devices = {}\n"
	"for _, node in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[2] - 1, 'REV')) do\n"
	"  local device = ARGV[1] .. 'push:device:' .. node\n"
	"  local d = redis.call('HMGET', device, unpack(ARGV, 3))\n"
	"  if d[1] then devices[#devices + 1] = d end\n"
	"end\n"
	"return devices\n" };

struct redis_script device_lua_sweep = { EVICT NOW
	"local due = redis.call('ZRANGEBYSCORE', prefix .. 'expiry', '-inf', now, 'LIMIT', 0,\n"
	"  ARGV[2])\n"
	"for _, node in ipairs(due) do\n"
	"  if not evict(node) then redis.call('ZREM', prefix .. 'expiry', node) end\n"
	"end\n"
	"return #due\n" };

struct redis_script device_lua_renew = { NOW
	"if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end\n"
	"redis.call('HSET', KEYS[1], 'expires', now + ARGV[3])\n"
	"redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])\n"
	"return 1\n" };

struct redis_script device_lua_suspect = { NOW
	"local d = redis.call('HMGET', KEYS[1], 'token', 'suspect_day', 'suspect_days')\n"
	"local today, days = math.floor(now / 86400000), tonumber(d[3] or 0)\n"
	"if not d[1] then return 0 end\n"
	"if d[1] ~= ARGV[2] then return -1 end\n"
	"if tonumber(d[2] or 0) ~= today then\n"
	"  days = days + 1\n"
	"  redis.call('HSET', KEYS[1], 'suspect_day', today, 'suspect_days', days)\n"
	"end\n"
	"return days\n" };

struct redis_script device_lua_note = {
	"if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end\n"
	"if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'environment', ARGV[3]) end\n"
	"redis.call('HDEL', KEYS[1], 'suspect_day', 'suspect_days')\n"
	"return 1\n" };
/* clang-format on */
