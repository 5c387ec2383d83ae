-- Removes a device. Answers 1, or 0 when it wasn't there.
--
-- KEYS: none
-- ARGV: prefix, node
-- finds: PREFIXpush:device:NODE PREFIXpush:key:HASH PREFIXpush:token:HASH PREFIXpush:owner:JID
--        PREFIXpush:gone PREFIXpush:counts PREFIXpush:expiry PREFIXpush:alias:NAME
-- include: evict.lua

local node = ARGV[2]

return evict(node) and 1 or 0
