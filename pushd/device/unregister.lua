-- Removes the devices of an owner and a token. Answers how many.
--
-- KEYS: the nodes by token
-- ARGV: prefix, owner, component ("": any), provider ("": any)
-- finds: PREFIXpush:device:NODE PREFIXpush:key:HASH PREFIXpush:token:HASH PREFIXpush:owner:JID
--        PREFIXpush:expiry
-- include: evict.lua

local by_token = KEYS[1]
local owner, component, provider = ARGV[2], ARGV[3], ARGV[4]
local removed = 0

for _, node in ipairs(redis.call('ZRANGE', by_token, 0, -1)) do
  local device = prefix .. 'device:' .. node
  local d = redis.call('HMGET', device, 'owner', 'component', 'provider')
  if not d[1] then
    redis.call('ZREM', by_token, node)
  elseif d[1] == owner and (component == '' or d[2] == component)
    and (provider == '' or d[3] == provider) and evict(node) then
    removed = removed + 1
  end
end
return removed
