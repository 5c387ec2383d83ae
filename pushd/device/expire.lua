-- Removes devices that nobody renewed, and what gateways were told a day ago of those that are gone.
-- Answers how many devices were due.
--
-- KEYS: none
-- ARGV: prefix, the most devices
-- finds: PREFIXpush:device:NODE PREFIXpush:key:HASH PREFIXpush:token:HASH PREFIXpush:owner:JID
--        PREFIXpush:gone PREFIXpush:counts PREFIXpush:expiry PREFIXpush:alias:NAME
-- include: evict.lua
-- include: now.lua

local GONE_LIFE_MS = 24 * 60 * 60 * 1000
local most = ARGV[2]
local due = redis.call('ZRANGEBYSCORE', prefix .. 'expiry', '-inf', now, 'LIMIT', 0, most)

for _, node in ipairs(due) do
  if not evict(node) then redis.call('ZREM', prefix .. 'expiry', node) end
end
redis.call('XTRIM', prefix .. 'gone', 'MINID', string.format('%.0f', now - GONE_LIFE_MS))
return #due
