-- Takes the due entries of a provider under a lease: VoIP, then high, then low. Answers the time, how
-- long until the next entry is due (-1: there is none), the providers of the entries that were dropped
-- since they had expired, then each entry's fields and its id (enum entry_field of queue.c); of one
-- that is none, as somebody has spoiled it, the id alone.
--
-- KEYS: none
-- ARGV: prefix, provider, how many entries, lease (milliseconds)
-- finds: PREFIXnote:ID PREFIXnotes PREFIXstored PREFIXslot:NODE PREFIXqueue:PROVIDER:PRIORITY
--        PREFIXqueue:PROVIDER:PRIORITY:DOMAIN
-- include: entry.lua

local provider, room, lease = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local dropped, reply = {}, {}
local budget = 2 * room + 32 -- the most domains and entries that this call looks at

local DAY_S = 24 * 60 * 60

-- What is there in place of an entry is kept for a day, outside the queue.
local function set_aside(id, key)
  redis.call('ZREM', key, id)
  if redis.call('ZREM', prefix .. 'notes', id) == 1 then uncount(provider) end
  if redis.call('EXPIRE', prefix .. 'note:' .. id, DAY_S) == 1 then
    reply[#reply + 1] = { id }
  end
end

local function take(id, key)
  local n = look(id, 'item')
  if not n or not n[10] then
    set_aside(id, key)
  elseif tonumber(n[8]) <= now then
    drop(id, n)
    dropped[#dropped + 1] = n[1]
  else
    redis.call('ZADD', key, math.floor(now) + lease, id)
    if n[5] ~= '' then
      redis.call('DEL', slot_of(n))
      redis.call('HSET', prefix .. 'note:' .. id, 'slot', '')
    end
    n[11] = id
    reply[#reply + 1] = n
    room = room - 1
  end
end

local function serve(key, domain, share)
  local from = key .. ':' .. domain
  local ids = redis.call('ZRANGE', from, '-inf', now, 'BYSCORE', 'LIMIT', 0, share)
  budget = budget - 1 - #ids
  for _, id in ipairs(ids) do take(id, from) end
  local first = redis.call('ZRANGE', from, 0, 0, 'WITHSCORES')[2]
  if first then
    redis.call('ZADD', key, math.max(now, first), domain)
  else
    redis.call('ZREM', key, domain)
  end
end

local function serve_all(key)
  while room > 0 and budget > 0 do
    local domains = redis.call('ZRANGE', key, '-inf', now, 'BYSCORE', 'LIMIT', 0, room)
    if #domains == 0 then return end
    local share = math.floor(room / #domains)
    for _, domain in ipairs(domains) do
      if budget > 0 then serve(key, domain, share) end
    end
  end
end

begin_promised()
local next_due = -1
for _, priority in ipairs({ 'voip', 'high', 'low' }) do
  local key = prefix .. 'queue:' .. provider .. ':' .. priority
  serve_all(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if first then
    local wait = math.max(0, math.ceil(first - now))
    if next_due < 0 or wait < next_due then next_due = wait end
  end
end
return { math.floor(now), next_due, dropped, unpack(reply) }
