-- Sets an account's row of limits, and returns it.
-- KEYS: accounts that have a row, what keys of rows begin with
-- ARGV: the account, limits of file, user and domain ("0" is not set)
-- finds: limit:ACCOUNT

-- include: limits_row.lua

local accounts, rows, account = KEYS[1], KEYS[2], ARGV[1]
local limits = {file = ARGV[2], user = ARGV[3], domain = ARGV[4]}
redis.call('ZADD', accounts, 0, account)
redis.call('DEL', rows .. account)
for field, limit in pairs(limits) do
	if limit ~= '0' then redis.call('HSET', rows .. account, field, limit) end
end
return read_row(rows, account)
