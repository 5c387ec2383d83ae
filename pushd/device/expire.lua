-- Removes devices that nobody renewed. Answers how many were due.
--
-- KEYS: none
-- ARGV: prefix, the most devices
-- finds: PREFIXpush:device:NODE PREFIXpush:key:HASH PREFIXpush:token:HASH PREFIXpush:owner:JID
--        PREFIXpush:gone PREFIXpush:counts PREFIXpush:expiry PREFIXpush:alias:NAME
-- include: evict.lua
-- include: now.lua

local most = ARGV[2]
local due = redis.call('ZRANGEBYSCORE', prefix .. 'expiry', '-inf', now, 'LIMIT', 0, most)

for _, node in ipairs(due) do
  if not evict(node) then redis.call('ZREM', prefix .. 'expiry', node) end
end
return #due
