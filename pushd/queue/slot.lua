-- What put.lua and return.lua share: two notes for one device of which one survives, in its slot.
-- RULE is queue_rule of queue.c.

-- The id and the note that waits in the slot of N's device; nil when it is empty.
local function in_slot(n)
  local id = redis.call('GET', slot_of(n))
  if id then return id, look(id, 'created') end
end

-- 0 high, 1 low, 2 a dismissal: queue_class() of queue.c.
local function class(n)
  return n[2] ~= 'low' and 0 or n[7] == '0' and 2 or 1
end

-- True if the note NEWER takes the place of OLDER, which waits.
local function replaces(rule, older, newer)
  local place = 3 * class(older) + class(newer) + 1
  return rule:sub(place, place) == 'r'
end

-- The newer note's message-count is the one to show, whichever survives; -1: it has none.
local function take_count(id, count)
  if count ~= '-1' then redis.call('HSET', prefix .. 'note:' .. id, 'count', count) end
end

-- STAYS survives, and stands for the other note too: it lives as long, has tried as often and is
-- as new.
local function adopt(id, stays, expires, attempts, created)
  expires = math.max(stays[8], expires)
  redis.call('HSET', prefix .. 'note:' .. id, 'expires', expires,
    'attempts', math.max(stays[6], attempts), 'created', math.max(stays[9], created))
  redis.call('ZADD', prefix .. 'notes', expires, id)
end
