-- Takes a lease for a gateway, or renews it. Returns the holder. The name of the last holder stays
-- after the lease has ended, so that a gateway that lost its stream sees who took the lease. A full
-- Redis runs it, too, because its first write, PERSIST, takes no memory.
-- KEYS: the lease
-- ARGV: the gateway, the lease's life in ms, the life of the name in ms
local key, gateway, life, memory = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', key, 'holder', 'ends')
local left = (tonumber(lease[2]) or 0) - now

-- A lease that would live longer than any is one of before the clock was set back.
if lease[1] and lease[1] ~= gateway and left > 0 and left <= life then return lease[1] end
redis.call('PERSIST', key)
redis.call('HSET', key, 'holder', gateway, 'ends', string.format('%.0f', now + life))
redis.call('PEXPIRE', key, memory)
return gateway
