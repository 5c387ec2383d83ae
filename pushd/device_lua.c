#include "pushd/device_lua.h"

/* clang-format off */
struct redis_script device_lua_register = { DEVICE_LUA_EVICT
	"local time = redis.call('TIME')\n"
	"local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
	"local evicted = 0\n"
	"local function limit(index, most, keep)\n"
	"  local excess = redis.call('ZCARD', index) - most\n"
	"  if excess <= 0 then return end\n"
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
	"redis.call('HSET', prefix .. 'device:' .. node, 'node', node, 'secret', secret,\n"
	"  'registered', now, 'key', ARGV[6], 'token_hash', ARGV[7], unpack(ARGV, 8))\n"
	"redis.call('SET', KEYS[1], node)\n"
	"redis.call('ZADD', KEYS[2], now, node)\n"
	"redis.call('ZADD', KEYS[3], now, node)\n"
	"limit(KEYS[2], tonumber(ARGV[4]), node)\n"
	"limit(KEYS[3], tonumber(ARGV[5]), node)\n"
	"return { node, secret, created, evicted }\n" };

struct redis_script device_lua_unregister = { DEVICE_LUA_EVICT
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

struct redis_script device_lua_remove = { DEVICE_LUA_EVICT
	"return evict(ARGV[2]) and 1 or 0\n" };

struct redis_script device_lua_bury = { DEVICE_LUA_EVICT
	"local d = redis.call('HMGET', KEYS[1], 'key', 'registered', ARGV[3])\n"
	"if not d[1] then return 0 end\n"
	"if d[3] ~= ARGV[4] or tonumber(d[2]) > tonumber(ARGV[5]) then return -1 end\n"
	"if ARGV[3] == 'token' then\n"
	"  evict(ARGV[2])\n"
	"else\n"
	"  redis.call('HDEL', KEYS[1], ARGV[3])\n"
	"end\n"
	"return 1\n" };

struct redis_script device_lua_list = {
	"local devices = {}\n"
	"for _, node in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1, 'REV')) do\n"
	"  local d = redis.call('HMGET', ARGV[1] .. 'device:' .. node, unpack(ARGV, 2))\n"
	"  if d[1] then devices[#devices + 1] = d end\n"
	"end\n"
	"return devices\n" };
/* clang-format on */
