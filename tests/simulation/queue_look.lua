-- What pushd has in Redis, checked against itself: a line "fault TEXT" for what is wrong, then one for
-- each entry of the queue and one for each device.
--
-- KEYS: none
-- ARGV: none
-- finds: all of og:push:

local p, lines, size = 'og:push:', {}, {}
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000

local function add(...) lines[#lines + 1] = table.concat({ ... }, ' ') end
local function fault(...) add('fault', ...) end
local function count(key, by) size[key] = (size[key] or 0) + by end

local function fields(key)
  local f, flat = {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do f[flat[i]] = flat[i + 1] end
  return f, #flat / 2
end

local function look_at_entry(key, id)
  local n, parts = fields(key)
  local queue = p .. 'queue:' .. (n.provider or '') .. ':' .. (n.priority or '')
  local entries, slot = queue .. ':' .. (n.domain or ''), p .. 'slot:' .. (n.node or '')
  local due = redis.call('ZSCORE', entries, id)
  local turn = redis.call('ZSCORE', queue, n.domain or '')
  if not due then return fault(id, 'is in no queue') end
  if not turn then return fault(n.domain, 'has no turn') end
  if tonumber(turn) > math.max(due, now) then fault(n.domain, 'waits too long') end
  if redis.call('ZSCORE', p .. 'notes', id) ~= n.expires then fault(id, 'never ends') end
  if n.slot ~= '' and redis.call('GET', slot) ~= id then fault(id, 'lacks its slot') end
  if not size[entries] then count(queue, 1) end
  if n.slot ~= '' then count(slot, 1) end
  if not size['stored ' .. n.provider] then count(p .. 'stored', 1) end
  count(entries, 1)
  count(p .. 'notes', 1)
  count('stored ' .. n.provider, 1)
  count(key, parts)
  add('entry', id, n.node, n.priority, n.class, n.slot == '' and '-' or n.slot, n.attempts,
    n.count, n.created, n.expires, due)
end

local function look_at_device(key, node)
  local d, parts = fields(key)
  local device_key = p .. 'key:' .. (d.key or '')
  local token, owner = p .. 'token:' .. (d.token_hash or ''), p .. 'owner:' .. (d.owner or '')
  local domain = 'domain:' .. (d.owner or ''):match('@(.*)$')
  if redis.call('GET', device_key) ~= node then fault(node, 'has no key') end
  if redis.call('ZSCORE', token, node) ~= d.registered then fault(node, 'lacks its token') end
  if redis.call('ZSCORE', owner, node) ~= d.registered then fault(node, 'lacks its owner') end
  if d.expires and redis.call('ZSCORE', p .. 'expiry', node) ~= d.expires then
    fault(node, 'never expires')
  end
  if d.expires then count(p .. 'expiry', 1) end
  if not size['all'] then count(p .. 'counts', 1) end
  if not size[domain] then count(p .. 'counts', 1) end
  count('all', 1)
  count(domain, 1)
  count(device_key, 1)
  count(token, 1)
  count(owner, 1)
  count(key, parts)
  add('device', node, d.token, d.second_token or '-', d.registered, d.expires or 0,
    d.suspect_days or 0)
end

local keys = redis.call('KEYS', '*')
for _, key in ipairs(keys) do
  local kind, name = key:match('^og:push:(%a+):(.*)$')
  if kind == 'note' then look_at_entry(key, name) end
  if kind == 'device' then look_at_device(key, name) end
end

local limited = { due = true, dead = true, history = true }
local commands = { zset = 'ZCARD', hash = 'HLEN', string = 'EXISTS' }
for _, key in ipairs(keys) do
  local kind = key:match('^og:push:(%a+)') or ''
  local type = redis.call('TYPE', key).ok
  if limited[kind] then
    if redis.call('PTTL', key) < 0 then fault(key, 'has no TTL') end
  elseif kind ~= 'gone' then
    if not size[key] then
      fault('nobody needs', key)
    elseif redis.call(commands[type], key) ~= size[key] then
      fault(key, 'holds too much')
    end
  end
end

local function compare(hash, kind)
  for field, value in pairs((fields(p .. hash))) do
    if tonumber(value) ~= size[kind .. field] then fault(hash, field, 'is counted wrong') end
  end
end

compare('stored', 'stored ')
compare('counts', '')
return table.concat(lines, '\n')
