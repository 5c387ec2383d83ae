-- Reads all records of a kind: id, record, id, record, …
-- KEYS: 1 the index of the kind
-- ARGV: 1 what the key of a record begins with; its id follows
-- finds: registry:{kind}:{id}, by the ids in the index
local prefix = ARGV[1]

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)
local found = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
	local record = redis.call('GET', prefix .. id)
	if record then
		found[#found + 1] = id
		found[#found + 1] = record
	end
end
return found
