-- A device is no longer one of those that its alias stands for.
--
-- KEYS: the device, the nodes by alias
-- ARGV: prefix, node, alias

local device, by_alias = KEYS[1], KEYS[2]
local node, alias = ARGV[2], ARGV[3]

if redis.call('HGET', device, 'alias') ~= alias then return 0 end
redis.call('HDEL', device, 'alias')
return redis.call('SREM', by_alias, node)
