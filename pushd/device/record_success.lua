-- A notification was sent to a device: its token is proven, not suspect, and good in this
-- environment.
--
-- KEYS: the device
-- ARGV: prefix, token, environment ("": it says nothing)

local device, token, environment = KEYS[1], ARGV[2], ARGV[3]

if redis.call('HGET', device, 'token') ~= token then return 0 end
redis.call('HSET', device, 'proven', 1)
if environment ~= '' then redis.call('HSET', device, 'environment', environment) end
redis.call('HDEL', device, 'suspect_day', 'suspect_days')
return 1
