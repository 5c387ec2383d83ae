-- What put.lua and return.lua share: two entries for one device of which one survives, in its slot.
-- RULE is queue_rule of queue.c, for enum queue_class. Of both entries `look` was asked for the class:
-- it is n[10].

-- The id and the entry that waits in the slot of N's device; nil when it is empty.
local function in_slot(n)
  local id = redis.call('GET', slot_of(n))
  if id then return id, look(id, 'class') end
end

-- True if the entry NEWER takes the place of OLDER, which waits. An entry of 0.1.0 has no class: it
-- counts as one of high priority (0), which never falls.
local function replaces(rule, older, newer)
  local place = 3 * (tonumber(older[10]) or 0) + (tonumber(newer[10]) or 0) + 1
  return rule:sub(place, place) == 'r'
end

-- The newer entry's message-count is the one to show, whichever survives; -1: it has none.
local function take_count(id, count)
  if count ~= '-1' then redis.call('HSET', prefix .. 'note:' .. id, 'count', count) end
end

-- STAYS survives, and stands for the other entry too: it lives as long, has tried as often and is
-- as new.
local function adopt(id, stays, expires, attempts, created)
  expires = math.max(stays[8], expires)
  redis.call('HSET', prefix .. 'note:' .. id, 'expires', expires,
    'attempts', math.max(stays[6], attempts), 'created', math.max(stays[9], created))
  redis.call('ZADD', prefix .. 'notes', expires, id)
end
