-- Registers a device, or renews the one that has its key: then node and secret stay. Answers node,
-- secret, 1 if it is new, how many older devices went because of the limits; 0 when it isn't
-- registered: a dead token, or an alias that has its most devices.
--
-- KEYS: the node by device key, the nodes by token, the nodes by owner, the dead token
-- ARGV: prefix, node and secret of a new device, the most devices of the token and of the owner
--       (0: any number), device key, token hash, life (milliseconds; 0: no end), "1" if a dead token
--       isn't accepted, alias ("": the one that it has), the most devices of an alias, then fields
--       and their values
-- finds: PREFIXpush:device:NODE PREFIXpush:key:HASH PREFIXpush:token:HASH PREFIXpush:owner:JID
--        PREFIXpush:gone PREFIXpush:expiry PREFIXpush:alias:NAME
-- include: evict.lua
-- include: now.lua

local by_key, by_token, by_owner, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local new_node, new_secret = ARGV[2], ARGV[3]
local per_token, per_owner = tonumber(ARGV[4]), tonumber(ARGV[5])
local key, token_hash, life, refuses_dead = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9] == '1'
local alias, per_alias = ARGV[10], tonumber(ARGV[11])
local first_field = 12
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

local node, secret, created = redis.call('GET', by_key), false, 0
if node then secret = redis.call('HGET', prefix .. 'device:' .. node, 'secret') end
if not secret then node = new_node end
if alias == '' then alias = redis.call('HGET', prefix .. 'device:' .. node, 'alias') or '' end
local by_alias = prefix .. 'alias:' .. alias
if alias ~= '' and redis.call('SISMEMBER', by_alias, node) == 0
  and redis.call('SCARD', by_alias) >= per_alias then
  return 0
end
if secret then
  evict(node)
else
  secret, created = new_secret, 1
end
local device = prefix .. 'device:' .. node
redis.call('HSET', device, 'node', node, 'secret', secret, 'registered', now,
  'key', key, 'token_hash', token_hash, unpack(ARGV, first_field))
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
