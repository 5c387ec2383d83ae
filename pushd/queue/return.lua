-- Gives an entry back that was taken, and puts it into its device's slot if it coalesces. Answers
-- "done", "merged" (the entry that waits in the slot stands for it) or "absent".
--
-- As a rule the entry in the slot came later than the one that returns; when both were under way at
-- the same time it may be the older one, which returned first.
--
-- KEYS: none
-- ARGV: prefix, id, delay (milliseconds), rule ("": it doesn't go into the slot), attempts to add
-- finds: PREFIXnote:ID PREFIXnotes PREFIXstored PREFIXslot:NODE PREFIXqueue:PROVIDER:PRIORITY
--        PREFIXqueue:PROVIDER:PRIORITY:DOMAIN
-- include: entry.lua
-- include: slot.lua

local id, due, rule = ARGV[2], math.floor(now) + ARGV[3], ARGV[4]
local n = look(id, 'class')

if not n then return 'absent' end
begin_promised()
local slot, attempts = '', n[6] + ARGV[5]
if rule ~= '' then
  slot = 'w'
  local waiting, w = in_slot(n)
  if w and waiting ~= id and tonumber(w[9]) < tonumber(n[9]) then
    attempts = math.max(attempts, w[6])
    if not replaces(rule, w, n) then
      drop(id, n)
      take_count(waiting, n[7])
      adopt(waiting, w, n[8], attempts, n[9])
      return 'merged'
    end
    if w[5] == 'w' then
      due = math.max(due, redis.call('ZSCORE', domain_queue(w), waiting))
    end
    drop(waiting, w)
  elseif w and waiting ~= id then
    if replaces(rule, n, w) then
      drop(id, n)
      adopt(waiting, w, n[8], attempts, n[9])
      if w[5] == 'w' then redis.call('ZADD', domain_queue(w), 'GT', due, waiting) end
      return 'merged'
    end
    drop(waiting, w)
    take_count(id, w[7])
    adopt(id, n, w[8], 0, w[9])
  end
  redis.call('SET', slot_of(n), id)
elseif n[5] ~= '' then
  redis.call('DEL', slot_of(n))
end
redis.call('HSET', prefix .. 'note:' .. id, 'attempts', attempts, 'slot', slot)
schedule(id, n, due)
return 'done'
