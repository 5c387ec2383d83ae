-- Renews claims; one that ran out while Redis was away is taken again. Returns the places in KEYS of
-- those that other relays have taken. A full Redis runs it, too, because its first write, PERSIST,
-- takes no memory.
-- KEYS: claims
-- ARGV: this relay's claim "ID EPOCH", life in ms
local claim, life = ARGV[1], ARGV[2]
local lost = {}
for i, key in ipairs(KEYS) do
	local owner = redis.call('GET', key)
	if not owner or owner == claim then
		redis.call('PERSIST', key)
		redis.call('SET', key, claim, 'PX', life)
	else
		lost[#lost + 1] = i
	end
end
return lost
