-- What the scripts of the queue share. Each script keeps an entry, its place in a queue, its slot and
-- the number of entries consistent. ARGV[1] is the prefix of the keys, "og:push:".
-- The keys call an entry a note, as those of 0.1.0 do, so that entries outlive an upgrade.
--
-- An entry `n` is an array: 1 provider, 2 priority, 3 domain, 4 node, 5 slot, 6 attempts, 7 count,
-- 8 expires, 9 created, then the fields that `look` was asked for besides. Its slot is "" outside its device's
-- slot, "w" while it waits there, "l" while it is leased there.
--
-- The domains of a provider are served in turn, by priority: a domain's turn (its score in the
-- provider's queue) is never later than both the earliest due time of its entries and the time at
-- which it was last served. So domains that were served stand behind those that wait, and a domain
-- without anything due is looked at only when something may be due. A turn that came too early,
-- since its entry was settled, is corrected when the domain is looked at.

local prefix = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000

-- What waits is served where Redis is full, too: it lets a script write that has begun with a write
-- which takes no memory. This one changes nothing.
local function begin_promised()
  redis.call('PERSIST', prefix .. 'stored')
end

local priorities = { voip = true, high = true, low = true }

local function is_number(text)
  return text and #text < 16 and text:find('^%-?%d+$')
end

-- The entry, or nil. One that somebody else has written or spoiled is none: it may not stop the
-- others.
local function look(id, ...)
  local n = redis.pcall('HMGET', prefix .. 'note:' .. id, 'provider', 'priority',
    'domain', 'node', 'slot', 'attempts', 'count', 'expires', 'created', ...)
  local right = not n.err and n[1] and priorities[n[2]] and n[3] and n[4] and n[5]
    and is_number(n[6]) and is_number(n[7]) and is_number(n[8]) and is_number(n[9])
  return right and n or nil
end

local function queue(n)
  return prefix .. 'queue:' .. n[1] .. ':' .. n[2]
end

local function domain_queue(n)
  return queue(n) .. ':' .. n[3]
end

local function slot_of(n)
  return prefix .. 'slot:' .. n[4]
end

local function schedule(id, n, due)
  redis.call('ZADD', domain_queue(n), due, id)
  redis.call('ZADD', queue(n), 'LT', due, n[3])
end

-- PROVIDER has an entry less.
local function uncount(provider)
  if redis.call('HINCRBY', prefix .. 'stored', provider, -1) <= 0 then
    redis.call('HDEL', prefix .. 'stored', provider)
  end
end

local function drop(id, n)
  redis.call('ZREM', domain_queue(n), id)
  if redis.call('EXISTS', domain_queue(n)) == 0 then
    redis.call('ZREM', queue(n), n[3])
  end
  redis.call('DEL', prefix .. 'note:' .. id)
  redis.call('ZREM', prefix .. 'notes', id)
  uncount(n[1])
  if n[5] ~= '' then redis.call('DEL', slot_of(n)) end
end
