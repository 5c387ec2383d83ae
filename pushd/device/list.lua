-- Answers the fields of an owner's devices, the newest first.
--
-- KEYS: the nodes by owner
-- ARGV: prefix, the most devices, fields
-- finds: PREFIXpush:device:NODE

local by_owner = KEYS[1]
local prefix, most, first_field = ARGV[1] .. 'push:', ARGV[2], 3
local devices = {}

for _, node in ipairs(redis.call('ZRANGE', by_owner, 0, most - 1, 'REV')) do
  local d = redis.call('HMGET', prefix .. 'device:' .. node, unpack(ARGV, first_field))
  if d[1] then devices[#devices + 1] = d end
end
return devices
