-- Puts an entry into its queue and, if it coalesces, into its device's slot. Answers "done", "merged"
-- (the entry that waits in the slot stands for it) or "full".
--
-- An entry that is there already is written again: WAIT waits for what this connection has written.
--
-- KEYS: none
-- ARGV: prefix, id, node, provider, domain, priority, item, count (-1: none), created and expires
--       (milliseconds from now), attempts, delay (milliseconds), "1" if leased, rule ("": it doesn't
--       go into the slot), class, the most entries that may be stored
-- finds: PREFIXnote:ID PREFIXnotes PREFIXstored PREFIXslot:NODE PREFIXqueue:PROVIDER:PRIORITY
--        PREFIXqueue:PROVIDER:PRIORITY:DOMAIN
-- include: entry.lua
-- include: slot.lua

local id, node, provider, domain, priority = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local item, count = ARGV[7], ARGV[8]
local created, expires = math.floor(now) + ARGV[9], math.floor(now) + ARGV[10]
local attempts, due = tonumber(ARGV[11]), math.floor(now) + ARGV[12]
local leased, rule = ARGV[13] == '1', ARGV[14]
local class, most = ARGV[15], tonumber(ARGV[16])

local entry = prefix .. 'note:' .. id
local n = { provider, priority, domain, node, '', attempts, count, expires,
  created, class }
local slot, replaced = '', false

local known = redis.call('HGET', entry, 'node')
if known then
  redis.call('HSET', entry, 'node', known)
  return 'done'
end
if rule ~= '' then
  slot = leased and 'l' or 'w'
  local waiting, w = in_slot(n)
  if w and not replaces(rule, w, n) then
    take_count(waiting, count)
    adopt(waiting, w, expires, 0, created)
    return 'merged'
  elseif w then
    attempts = math.max(attempts, w[6])
    if slot == 'w' and w[5] == 'w' then
      due = redis.call('ZSCORE', domain_queue(w), waiting)
    end
    drop(waiting, w)
    replaced = true
  end
end
if not replaced and redis.call('ZCARD', prefix .. 'notes') >= most then
  return 'full'
end
redis.call('HSET', entry, 'node', node, 'provider', provider, 'domain', domain,
  'priority', priority, 'item', item, 'count', count, 'created', created,
  'expires', expires, 'attempts', attempts, 'slot', slot, 'class', class)
redis.call('ZADD', prefix .. 'notes', expires, id)
redis.call('HINCRBY', prefix .. 'stored', provider, 1)
if slot ~= '' then redis.call('SET', slot_of(n), id) end
schedule(id, n, due)
return 'done'
