-- Puts an entry into its queue and, if it coalesces, into its device's slot. Answers "done", "merged"
-- (the entry that waits in the slot stands for it) or "full".
--
-- An entry that is there already is written again: WAIT waits for what this connection has written.
-- The entry in the slot came earlier than the one that is put, unless that one is late: it was on its
-- way meanwhile and wasn't sent, or its device was looked up again. Only then their times are
-- compared, which are exact but for the time that calls take.
--
-- KEYS: none
-- ARGV: prefix, id, node, provider, domain, priority, item, count (-1: none), created and expires
--       (milliseconds from now), attempts, delay (milliseconds), "1" if leased, rule ("": it doesn't
--       go into the slot), class, the most entries that may be stored, "1" if it is late
-- finds: PREFIXnote:ID PREFIXnotes PREFIXstored PREFIXslot:NODE PREFIXqueue:PROVIDER:PRIORITY
--        PREFIXqueue:PROVIDER:PRIORITY:DOMAIN
-- include: entry.lua
-- include: slot.lua

local id, node, provider, domain, priority = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local item, count = ARGV[7], ARGV[8]
local created, expires = math.floor(now) + ARGV[9], math.floor(now) + ARGV[10]
local attempts, due = tonumber(ARGV[11]), math.floor(now) + ARGV[12]
local leased, rule = ARGV[13] == '1', ARGV[14]
local class, most, late = ARGV[15], tonumber(ARGV[16]), ARGV[17] == '1'

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
  local later = w and late and tonumber(w[9]) > created
  local both_wait = w and slot == 'w' and w[5] == 'w'
  if later and replaces(rule, n, w) then
    adopt(waiting, w, expires, attempts, created)
    if both_wait then redis.call('ZADD', domain_queue(w), 'GT', due, waiting) end
    return 'merged'
  elseif w and not later and not replaces(rule, w, n) then
    take_count(waiting, count)
    adopt(waiting, w, expires, 0, created)
    return 'merged'
  elseif w then
    if both_wait then
      local turn = tonumber(redis.call('ZSCORE', domain_queue(w), waiting))
      -- What was tried waits for as long as the provider asked for.
      due = late and math.max(due, turn) or turn
    end
    attempts = math.max(attempts, w[6])
    if later then
      if w[7] ~= '-1' then count = w[7] end
      expires, created = math.max(expires, w[8]), math.max(created, w[9])
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
