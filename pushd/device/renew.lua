-- A device's life begins anew, unless the device has gone. A full Redis runs it, too, because its
-- first write, PERSIST, takes no memory.
--
-- KEYS: the device, the nodes by expiry
-- ARGV: prefix, node, life (milliseconds)
-- include: now.lua

local device, by_expiry = KEYS[1], KEYS[2]
local node, life = ARGV[2], ARGV[3]

if redis.call('EXISTS', device) == 0 then return 0 end
redis.call('PERSIST', device)
redis.call('HSET', device, 'expires', now + life)
redis.call('ZADD', by_expiry, now + life, node)
return 1
