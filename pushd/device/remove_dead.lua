-- Removes a device whose token is dead, with the others of that token and provider, and holds the
-- token dead; or only the device's second token. Answers how many have gone (1 for a second token),
-- 0 when it wasn't there, -1 when it was registered later or has another token now.
--
-- KEYS: the device
-- ARGV: prefix, node, field of the token ("token" or the second one's), the token, since when it is
--       dead (milliseconds), how long it is held dead (milliseconds; 0: not at all, and the device
--       goes alone), the dialect whose registrations are never later, for a publish made them
-- finds: PREFIXpush:device:NODE PREFIXpush:key:HASH PREFIXpush:token:HASH PREFIXpush:owner:JID
--        PREFIXpush:gone PREFIXpush:counts PREFIXpush:expiry PREFIXpush:alias:NAME PREFIXpush:dead:HASH
-- include: evict.lua

local device = KEYS[1]
local node, field, token = ARGV[2], ARGV[3], ARGV[4]
local before, dead_life, implicit_dialect = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local d = redis.call('HMGET', device, 'token_hash', 'registered', 'provider', field, 'dialect')
local gone, left = 0, false

local function is_later(registered, dialect)
  return dialect ~= implicit_dialect and tonumber(registered) > before
end

if not d[1] then return 0 end
if d[4] ~= token or is_later(d[2], d[5]) then return -1 end
if field ~= 'token' then
  redis.call('HDEL', device, field)
  return 1
end
if evict(node) then gone = 1 end
if dead_life == '0' then return gone end
for _, other in ipairs(redis.call('ZRANGE', prefix .. 'token:' .. d[1], 0, -1)) do
  local o = redis.call('HMGET', prefix .. 'device:' .. other, 'registered', 'provider',
    'token', 'dialect')
  if o[2] == d[3] and o[3] == d[4] then
    if is_later(o[1], o[4]) then
      left = true
    elseif evict(other) then
      gone = gone + 1
    end
  end
end
if not left then
  redis.call('SET', prefix .. 'dead:' .. redis.sha1hex(d[3] .. ':' .. d[1]), 1, 'PX', dead_life)
end
return gone
