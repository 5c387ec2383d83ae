-- Lowers the ledger NAME in the hash USAGE by BYTES, though not below 0. Returns what it is then.
local function pay_back(usage, name, bytes)
	local used = tonumber(redis.call('HGET', usage, name) or 0)
	local back = math.min(used, tonumber(bytes))
	if back > 0 then redis.call('HINCRBY', usage, name, string.format('-%.0f', back)) end
	return used - back
end
