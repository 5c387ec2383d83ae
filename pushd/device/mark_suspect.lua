-- Remembers that a device's token was suspect today. Answers on how many days it was, with today; of
-- a device to which nothing was ever sent, how often; 0 when the device isn't there, -1 when it has
-- another token.
--
-- KEYS: the device
-- ARGV: prefix, token
-- include: now.lua

local device, token = KEYS[1], ARGV[2]
local d = redis.call('HMGET', device, 'token', 'suspect_day', 'suspect_days', 'proven',
  'environment')
local today, days = math.floor(now / 86400000), tonumber(d[3] or 0)
local proven = d[4] or d[5]

if not d[1] then return 0 end
if d[1] ~= token then return -1 end
if not proven or tonumber(d[2] or 0) ~= today then
  days = days + 1
  redis.call('HSET', device, 'suspect_day', today, 'suspect_days', days)
end
return days
