#include "pushd/queue/store_lua.h"

/*
 * What all have in common. A note's slot is "" outside its device's slot, "w" when it waits there,
 * "l" when it is leased there. Of a note `n`: 1 provider, 2 priority, 3 domain, 4 node, 5 slot,
 * 6 attempts, 7 count, 8 expires, then what MORE names.
 *
 * adopt(): STAYS stands for what goes, too, so it lives as long, has tried as often and is as new.
 */
/* clang-format off */
#define COMMON \
	"local prefix = ARGV[1]\n" \
	"local time = redis.call('TIME')\n" \
	"local now = time[1] * 1000 + time[2] / 1000\n" \
	"local function look(id, ...)\n" \
	"  local n = redis.call('HMGET', prefix .. 'note:' .. id, 'provider', 'priority',\n" \
	"    'domain', 'node', 'slot', 'attempts', 'count', 'expires', ...)\n" \
	"  return n[1] and n\n" \
	"end\n" \
	"local function queue(n)\n" \
	"  return prefix .. 'queue:' .. n[1] .. ':' .. n[2]\n" \
	"end\n" \
	"local function entries(n)\n" \
	"  return queue(n) .. ':' .. n[3]\n" \
	"end\n" \
	"local function slot_of(n)\n" \
	"  return prefix .. 'slot:' .. n[4]\n" \
	"end\n" \
	"local function schedule(id, n, due)\n" \
	"  redis.call('ZADD', entries(n), due, id)\n" \
	"  redis.call('ZADD', queue(n), 'LT', due, n[3])\n" \
	"end\n" \
	"local function drop(id, n)\n" \
	"  redis.call('ZREM', entries(n), id)\n" \
	"  if redis.call('EXISTS', entries(n)) == 0 then\n" \
	"    redis.call('ZREM', queue(n), n[3])\n" \
	"  end\n" \
	"  redis.call('DEL', prefix .. 'note:' .. id)\n" \
	"  redis.call('ZREM', prefix .. 'notes', id)\n" \
	"  if redis.call('HINCRBY', prefix .. 'stored', n[1], -1) <= 0 then\n" \
	"    redis.call('HDEL', prefix .. 'stored', n[1])\n" \
	"  end\n" \
	"  if n[5] ~= '' then redis.call('DEL', slot_of(n)) end\n" \
	"end\n" \
	"local function in_slot(n)\n" \
	"  local id = redis.call('GET', slot_of(n))\n" \
	"  if id then return id, look(id, 'created') end\n" \
	"end\n" \
	"local function replaces(decisions, w)\n" \
	"  local place = w[2] ~= 'low' and 1 or w[7] == '0' and 3 or 2\n" \
	"  return decisions:sub(place, place) == 'r'\n" \
	"end\n"

#define ADOPT \
	"local function adopt(id, stays, expires, attempts, created)\n" \
	"  local expires = math.max(stays[8], expires)\n" \
	"  redis.call('HSET', prefix .. 'note:' .. id, 'expires', expires,\n" \
	"    'attempts', math.max(stays[6], attempts), 'created', math.max(stays[9], created))\n" \
	"  redis.call('ZADD', prefix .. 'notes', expires, id)\n" \
	"end\n"

/* One that is there is written again: WAIT waits for what this connection has written. */
struct redis_script store_lua_put = { COMMON ADOPT
	"local id, attempts, slot, replaced = ARGV[2], tonumber(ARGV[11]), '', false\n"
	"local note = prefix .. 'note:' .. id\n"
	"local n = { ARGV[4], ARGV[6], ARGV[5], ARGV[3] }\n"
	"local created, expires = math.floor(now) + ARGV[9], math.floor(now) + ARGV[10]\n"
	"local due = math.floor(now) + ARGV[12]\n"
	"local known = redis.call('HGET', note, 'node')\n"
	"if known then\n"
	"  redis.call('HSET', note, 'node', known)\n"
	"  return 'done'\n"
	"end\n"
	"if ARGV[14] ~= '' then\n"
	"  slot = ARGV[13] == '1' and 'l' or 'w'\n"
	"  local waiting, w = in_slot(n)\n"
	"  if w and not replaces(ARGV[14], w) then\n"
	"    if ARGV[8] ~= '-1' then\n"
	"      redis.call('HSET', prefix .. 'note:' .. waiting, 'count', ARGV[8])\n"
	"    end\n"
	"    adopt(waiting, w, expires, 0, created)\n"
	"    return 'merged'\n"
	"  elseif w then\n"
	"    attempts = math.max(attempts, w[6])\n"
	"    if slot == 'w' and w[5] == 'w' then\n"
	"      due = redis.call('ZSCORE', entries(w), waiting)\n"
	"    end\n"
	"    drop(waiting, w)\n"
	"    replaced = true\n"
	"  end\n"
	"end\n"
	"if not replaced and redis.call('ZCARD', prefix .. 'notes') >= tonumber(ARGV[15]) then\n"
	"  return 'full'\n"
	"end\n"
	"redis.call('HSET', note, 'node', ARGV[3], 'provider', ARGV[4], 'domain', ARGV[5],\n"
	"  'priority', ARGV[6], 'item', ARGV[7], 'count', ARGV[8], 'created', created,\n"
	"  'expires', expires, 'attempts', attempts, 'slot', slot)\n"
	"redis.call('ZADD', prefix .. 'notes', expires, id)\n"
	"redis.call('HINCRBY', prefix .. 'stored', ARGV[4], 1)\n"
	"if slot ~= '' then redis.call('SET', slot_of(n), id) end\n"
	"schedule(id, n, due)\n"
	"return replaced and 'replaced' or 'done'\n" };

/* BUDGET bounds the work of a call: domains that are looked at, and entries. */
struct redis_script store_lua_take = { COMMON
	"local lease, room = tonumber(ARGV[4]), tonumber(ARGV[3])\n"
	"local dropped, reply, budget = {}, {}, 2 * room + 32\n"
	"local function take(id, key)\n"
	"  local n = look(id, 'created', 'item')\n"
	"  if not n then\n"
	"    redis.call('ZREM', key, id)\n"
	"  elseif tonumber(n[8]) <= now then\n"
	"    drop(id, n)\n"
	"    dropped[#dropped + 1] = n[1]\n"
	"  else\n"
	"    redis.call('ZADD', key, math.floor(now) + lease, id)\n"
	"    if n[5] ~= '' then\n"
	"      redis.call('DEL', slot_of(n))\n"
	"      redis.call('HSET', prefix .. 'note:' .. id, 'slot', '')\n"
	"    end\n"
	"    n[11] = id\n"
	"    reply[#reply + 1] = n\n"
	"    room = room - 1\n"
	"  end\n"
	"end\n"
	"local function serve(key, domain, share)\n"
	"  local from = key .. ':' .. domain\n"
	"  local ids = redis.call('ZRANGE', from, '-inf', now, 'BYSCORE', 'LIMIT', 0, share)\n"
	"  budget = budget - 1 - #ids\n"
	"  for _, id in ipairs(ids) do take(id, from) end\n"
	"  local first = redis.call('ZRANGE', from, 0, 0, 'WITHSCORES')[2]\n"
	"  if first then\n"
	"    redis.call('ZADD', key, math.max(now, first), domain)\n"
	"  else\n"
	"    redis.call('ZREM', key, domain)\n"
	"  end\n"
	"end\n"
	"local function serve_all(key)\n"
	"  while room > 0 and budget > 0 do\n"
	"    local domains = redis.call('ZRANGE', key, '-inf', now, 'BYSCORE', 'LIMIT', 0, room)\n"
	"    if #domains == 0 then return end\n"
	"    local share = math.floor(room / #domains)\n"
	"    for _, domain in ipairs(domains) do\n"
	"      if budget > 0 then serve(key, domain, share) end\n"
	"    end\n"
	"  end\n"
	"end\n"
	"local next = -1\n"
	"for _, priority in ipairs({ 'voip', 'high', 'low' }) do\n"
	"  local key = prefix .. 'queue:' .. ARGV[2] .. ':' .. priority\n"
	"  serve_all(key)\n"
	"  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]\n"
	"  if first then\n"
	"    local wait = math.max(0, math.ceil(first - now))\n"
	"    if next < 0 or wait < next then next = wait end\n"
	"  end\n"
	"end\n"
	"return { math.floor(now), next, dropped, unpack(reply) }\n" };

/* Until it has been expired for a lease, somebody may be sending it. */
struct redis_script store_lua_sweep = { COMMON
	"local dropped = {}\n"
	"for _, id in ipairs(redis.call('ZRANGE', prefix .. 'notes', '-inf', now - ARGV[2],\n"
	"  'BYSCORE', 'LIMIT', 0, ARGV[3])) do\n"
	"  local n = look(id)\n"
	"  if n then drop(id, n) else redis.call('ZREM', prefix .. 'notes', id) end\n"
	"  dropped[#dropped + 1] = n and n[1]\n"
	"end\n"
	"return dropped\n" };

struct redis_script store_lua_settle = { COMMON
	"local n = look(ARGV[2])\n"
	"if not n then return 'absent' end\n"
	"drop(ARGV[2], n)\n"
	"return 'done'\n" };

/*
 * What waits in the slot came later than what returns, as a rule: an earlier one that was under way
 * at the same time may have come back before. Then it goes, unless it is high and this one low.
 */
struct redis_script store_lua_return = { COMMON ADOPT
	"local id, slot, replaced = ARGV[2], '', false\n"
	"local n = look(id, 'created')\n"
	"if not n then return 'absent' end\n"
	"local due, attempts = math.floor(now) + ARGV[3], n[6] + ARGV[5]\n"
	"if ARGV[4] ~= '' then\n"
	"  slot = 'w'\n"
	"  local waiting, w = in_slot(n)\n"
	"  if w and waiting ~= id and tonumber(w[9]) < tonumber(n[9]) then\n"
	"    attempts = math.max(attempts, w[6])\n"
	"    if w[2] ~= 'low' and n[2] == 'low' and n[7] ~= '0' then\n"
	"      drop(id, n)\n"
	"      if n[7] ~= '-1' then\n"
	"        redis.call('HSET', prefix .. 'note:' .. waiting, 'count', n[7])\n"
	"      end\n"
	"      adopt(waiting, w, n[8], attempts, n[9])\n"
	"      return 'merged'\n"
	"    end\n"
	"    if w[5] == 'w' then\n"
	"      due = math.max(due, redis.call('ZSCORE', entries(w), waiting))\n"
	"    end\n"
	"    drop(waiting, w)\n"
	"    replaced = true\n"
	"  elseif w and waiting ~= id then\n"
	"    if not replaces(ARGV[4], w) then\n"
	"      drop(id, n)\n"
	"      adopt(waiting, w, n[8], attempts, n[9])\n"
	"      if w[5] == 'w' then redis.call('ZADD', entries(w), 'GT', due, waiting) end\n"
	"      return 'merged'\n"
	"    end\n"
	"    drop(waiting, w)\n"
	"    if w[7] ~= '-1' then\n"
	"      redis.call('HSET', prefix .. 'note:' .. id, 'count', w[7])\n"
	"    end\n"
	"    adopt(id, n, w[8], 0, w[9])\n"
	"    replaced = true\n"
	"  end\n"
	"  redis.call('SET', slot_of(n), id)\n"
	"elseif n[5] ~= '' then\n"
	"  redis.call('DEL', slot_of(n))\n"
	"end\n"
	"redis.call('HSET', prefix .. 'note:' .. id, 'attempts', attempts, 'slot', slot)\n"
	"schedule(id, n, due)\n"
	"return replaced and 'replaced' or 'done'\n" };
/* clang-format on */
