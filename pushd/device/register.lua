-- Registers a device, or renews the one that has its key: then node and secret stay. Answers node,
-- secret, 1 if it is new, how many older devices went because of the limits; 0 when it isn't
-- registered: a dead token, or an alias that has its most devices; and for a new device that is one
-- too many: -1 of all, -2 of its domain, -3 of its domain at this time.
--
-- KEYS: the node by device key, the nodes by token, the nodes by owner, the dead token, when the
--       domain's last new device was due
-- ARGV: prefix, node and secret of a new device, the most devices of the token and of the owner
--       (0: any number), device key, token hash, life (milliseconds; 0: no end), "1" if a dead token
--       isn't accepted, alias ("": the one that it has), the most devices of an alias, of all, of a
--       domain, new ones of a domain in a second (0: any number) and at once, owner, then fields and
--       their values
-- finds: PREFIXpush:device:NODE PREFIXpush:key:HASH PREFIXpush:token:HASH PREFIXpush:owner:JID
--        PREFIXpush:gone PREFIXpush:counts PREFIXpush:expiry PREFIXpush:alias:NAME
-- include: evict.lua
-- include: now.lua

local by_key, by_token, by_owner, dead, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local new_node, new_secret = ARGV[2], ARGV[3]
local per_token, per_owner = tonumber(ARGV[4]), tonumber(ARGV[5])
local key, token_hash, life, refuses_dead = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9] == '1'
local alias, per_alias = ARGV[10], tonumber(ARGV[11])
local in_all, per_domain, rate, burst =
  tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
local owner = ARGV[16]
local first_field = 17
local evicted = 0

if refuses_dead and redis.call('EXISTS', dead) == 1 then return 0 end

-- Evicts the oldest devices of INDEX over MOST, but not KEEP.
local function limit(index, most, keep)
  local excess = redis.call('ZCARD', index) - most
  if most == 0 or excess <= 0 then return end
  for _, node in ipairs(redis.call('ZRANGE', index, 0, excess)) do
    if excess > 0 and node ~= keep then
      if evict(node) then evicted = evicted + 1 end
      redis.call('ZREM', index, node)
      excess = excess - 1
    end
  end
end

-- Counts a new device against its domain's rate; false when that is used up. The devices are due at
-- even intervals, and a burst of them may come ahead of that.
local function take_turn()
  if rate == 0 then return true end
  local interval = 1000 / rate
  local turn = math.max(tonumber(redis.call('GET', due) or 0), now) + interval
  if turn - now > burst * interval + 0.01 then return false end
  redis.call('SET', due, string.format('%.3f', turn), 'PX', math.ceil(turn - now))
  return true
end

-- Which limit keeps a new device out, as a number below 0, or nil.
local function refusal()
  local counts = redis.call('HMGET', prefix .. 'counts', 'all', 'domain:' .. domain_of(owner))
  if tonumber(counts[1] or 0) >= in_all then return -1 end
  if tonumber(counts[2] or 0) >= per_domain then return -2 end
  if not take_turn() then return -3 end
end

local node, secret, created, proven = redis.call('GET', by_key), false, 0, false
if node then secret = redis.call('HGET', prefix .. 'device:' .. node, 'secret') end
if not secret then node = new_node end
if alias == '' then alias = redis.call('HGET', prefix .. 'device:' .. node, 'alias') or '' end
local by_alias = prefix .. 'alias:' .. alias
if alias ~= '' and redis.call('SISMEMBER', by_alias, node) == 0
  and redis.call('SCARD', by_alias) >= per_alias then
  return 0
end
if secret then
  local old = redis.call('HMGET', prefix .. 'device:' .. node, 'token_hash', 'proven')
  proven = old[1] == token_hash and old[2]
  evict(node, true)
else
  local refused = refusal()
  if refused then return refused end
  secret, created = new_secret, 1
end
local device = prefix .. 'device:' .. node
redis.call('HSET', device, 'node', node, 'secret', secret, 'registered', now,
  'key', key, 'token_hash', token_hash, 'counted', 1,
  unpack(ARGV, first_field))
if proven then redis.call('HSET', device, 'proven', proven) end
count(owner, 1)
if life > 0 then
  redis.call('HSET', device, 'expires', now + life)
  redis.call('ZADD', prefix .. 'expiry', now + life, node)
end
if alias ~= '' then
  redis.call('HSET', device, 'alias', alias)
  redis.call('SADD', by_alias, node)
end
redis.call('SET', by_key, node)
redis.call('ZADD', by_token, now, node)
redis.call('ZADD', by_owner, now, node)
redis.call('DEL', dead)
limit(by_token, per_token, node)
limit(by_owner, per_owner, node)
return { node, secret, created, evicted }
