-- What the scripts that remove devices share. ARGV[1] is the prefix of all keys, "og:".

local prefix = ARGV[1] .. 'push:'

-- Removes a device and its places in the indexes; true if it was there.
local function evict(node)
  local device = prefix .. 'device:' .. node
  local d = redis.call('HMGET', device, 'key', 'token_hash', 'owner')
  if not d[1] then return false end
  local key = prefix .. 'key:' .. d[1]
  if redis.call('GET', key) == node then redis.call('DEL', key) end
  redis.call('ZREM', prefix .. 'token:' .. d[2], node)
  redis.call('ZREM', prefix .. 'owner:' .. d[3], node)
  redis.call('ZREM', prefix .. 'expiry', node)
  redis.call('DEL', device)
  return true
end
