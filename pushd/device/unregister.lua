-- Removes the devices of an owner and a token, or of an owner and a device id. Answers how many.
--
-- KEYS: the nodes by token, or those by owner
-- ARGV: prefix, owner, component ("": any), provider ("": any), then, by owner: device id, and the
--       room as its app knows it ("": of the account itself); by token two empty ones
-- finds: PREFIXpush:device:NODE PREFIXpush:key:HASH PREFIXpush:token:HASH PREFIXpush:owner:JID
--        PREFIXpush:gone PREFIXpush:counts PREFIXpush:expiry PREFIXpush:alias:NAME
-- include: evict.lua

local nodes = KEYS[1]
local owner, component, provider, id, channel = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local removed = 0

for _, node in ipairs(redis.call('ZRANGE', nodes, 0, -1)) do
  local device = prefix .. 'device:' .. node
  local d = redis.call('HMGET', device, 'owner', 'component', 'provider', 'device_id', 'channel_id')
  if not d[1] then
    redis.call('ZREM', nodes, node)
  elseif d[1] == owner and (component == '' or d[2] == component)
    and (provider == '' or d[3] == provider)
    and (id == '' or (d[4] == id and (d[5] or '') == channel)) and evict(node) then
    removed = removed + 1
  end
end
return removed
