-- Answers how many entries there are, and a page of them, those that expire first first: for each
-- id, node, provider, domain, priority, attempts, created, expires and due.
--
-- KEYS: none
-- ARGV: prefix, the id of the last entry of the page before ("": none), when that one expires
--       ("-inf": there was none), the most entries
-- finds: PREFIXnote:ID PREFIXnotes PREFIXqueue:PROVIDER:PRIORITY:DOMAIN
-- include: entry.lua

local notes = prefix .. 'notes'
local last, expires, most = ARGV[2], ARGV[3], tonumber(ARGV[4])
local rank = last ~= '' and redis.call('ZRANK', notes, last)
local first = rank and rank + 1 or
  (last == '' and 0 or redis.call('ZCOUNT', notes, '-inf', '(' .. expires))
local rows = {}

for _, id in ipairs(redis.call('ZRANGE', notes, first, first + most - 1)) do
  local n = look(id)
  if n then
    rows[#rows + 1] = { id, n[4], n[1], n[3], n[2], n[6], n[9], n[8],
      redis.call('ZSCORE', domain_queue(n), id) or n[8] }
  end
end
return { redis.call('ZCARD', notes), rows }
