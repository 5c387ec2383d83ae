-- Ends a lease if it is still this gateway's. Returns 1 if it was, else 0. A full Redis runs it, too,
-- because its first write, HDEL, takes no memory.
-- KEYS: the lease
-- ARGV: the gateway
local key, gateway = KEYS[1], ARGV[1]
if redis.call('HGET', key, 'holder') ~= gateway then return 0 end
redis.call('HDEL', key, 'none')
redis.call('HSET', key, 'ends', '0')
return 1
