-- Sets the bytes that a ledger has from another proxy: it changes by the difference to those that
-- were set before, though not below 0. Returns {ledger, bytes}, as it is then.
-- KEYS: ledgers and usage of a month
-- ARGV: the ledger, bytes

-- include: pay_back.lua

local ledgers, usage, ledger, bytes = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])
local field = 'imported:' .. ledger
local more = bytes - tonumber(redis.call('HGET', usage, field) or 0)
local used

if more > 0 then
	used = redis.call('HINCRBY', usage, ledger, string.format('%.0f', more))
else
	used = pay_back(usage, ledger, -more)
end
redis.call('HSET', usage, field, ARGV[2])
redis.call('ZADD', ledgers, 0, ledger)
for _, key in ipairs(KEYS) do
	if redis.call('TTL', key) == -1 then redis.call('EXPIRE', key, 34560000) end
end
return {ledger, used}
