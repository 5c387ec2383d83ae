-- What the scripts that remove devices share. ARGV[1] is the prefix of all keys, "og:".

local prefix = ARGV[1] .. 'push:'

-- Leaves for the gateways that a user's device is gone, under the node that its server knows.
local function tell_gone(component, owner, node)
  if not component or not owner:find('@', 1, true) then return end
  redis.call('XADD', prefix .. 'gone', 'MAXLEN', '~', 10000, '*', 'event',
    cjson.encode({ type = 'device-gone', component = component, owner = owner, node = node }))
end

-- The domain of a bare JID, or the domain that OWNER is.
local function domain_of(owner) return owner:match('@(.*)$') or owner end

-- CHANGE more devices are there, of the domain and of all.
local function count(owner, change)
  for _, field in ipairs({ 'all', 'domain:' .. domain_of(owner) }) do
    if redis.call('HINCRBY', prefix .. 'counts', field, change) <= 0 then
      redis.call('HDEL', prefix .. 'counts', field)
    end
  end
end

-- Removes a device and its places in the indexes; true if it was there. An alias goes with its last.
-- What was registered before devices were counted isn't in the counts. RENEWED: it comes back at once,
-- so nobody is told.
local function evict(node, renewed)
  local device = prefix .. 'device:' .. node
  local d = redis.call('HMGET', device, 'key', 'token_hash', 'owner', 'alias',
    'component', 'counted')
  if not d[1] then return false end
  local key = prefix .. 'key:' .. d[1]
  if redis.call('GET', key) == node then redis.call('DEL', key) end
  redis.call('ZREM', prefix .. 'token:' .. d[2], node)
  redis.call('ZREM', prefix .. 'owner:' .. d[3], node)
  redis.call('ZREM', prefix .. 'expiry', node)
  if d[4] then redis.call('SREM', prefix .. 'alias:' .. d[4], node) end
  redis.call('DEL', device)
  if d[6] then count(d[3], -1) end
  if renewed then return true end
  tell_gone(d[5], d[3], node)
  if d[4] and redis.call('EXISTS', prefix .. 'alias:' .. d[4]) == 0 then
    tell_gone(d[5], d[3], d[4])
  end
  return true
end
