-- What the scripts that remove devices share. ARGV[1] is the prefix of all keys, "og:".

local prefix = ARGV[1] .. 'push:'

-- Removes a device and its places in the indexes; true if it was there. An alias goes with its last.
local function evict(node)
  local device = prefix .. 'device:' .. node
  local d = redis.call('HMGET', device, 'key', 'token_hash', 'owner', 'alias')
  if not d[1] then return false end
  local key = prefix .. 'key:' .. d[1]
  if redis.call('GET', key) == node then redis.call('DEL', key) end
  redis.call('ZREM', prefix .. 'token:' .. d[2], node)
  redis.call('ZREM', prefix .. 'owner:' .. d[3], node)
  redis.call('ZREM', prefix .. 'expiry', node)
  if d[4] then redis.call('SREM', prefix .. 'alias:' .. d[4], node) end
  redis.call('DEL', device)
  return true
end
