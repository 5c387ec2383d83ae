-- Deletes what the gateways are told of an owner's devices that are gone. Answers how many entries
-- went, and the id of the last one that was looked at; false at the stream's end.
--
-- KEYS: the devices that are gone
-- ARGV: owner, "-" or "(" and the id behind which the search begins, the most entries to look at

local gone, from, most = KEYS[1], ARGV[2], tonumber(ARGV[3])
local owner = '"owner":' .. cjson.encode(ARGV[1]) -- as evict.lua writes it
local page = redis.call('XRANGE', gone, from, '+', 'COUNT', most)
local deleted = 0

for _, entry in ipairs(page) do
  if entry[2][2]:find(owner, 1, true) then
    deleted = deleted + redis.call('XDEL', gone, entry[1])
  end
end
return { deleted, #page == most and page[most][1] }
