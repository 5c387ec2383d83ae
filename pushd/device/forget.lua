-- Removes devices of an owner with their histories. Answers how many have gone.
--
-- KEYS: the nodes by owner
-- ARGV: prefix, the most devices
-- finds: PREFIXpush:device:NODE PREFIXpush:key:HASH PREFIXpush:token:HASH PREFIXpush:owner:JID
--        PREFIXpush:gone PREFIXpush:counts PREFIXpush:expiry PREFIXpush:history:NODE PREFIXpush:alias:NAME
-- include: evict.lua

local by_owner, most = KEYS[1], ARGV[2]
local gone = 0

for _, node in ipairs(redis.call('ZRANGE', by_owner, 0, most - 1)) do
  redis.call('DEL', prefix .. 'history:' .. node)
  if not evict(node) then redis.call('ZREM', by_owner, node) end
  gone = gone + 1
end
return gone
