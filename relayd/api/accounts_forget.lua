-- Deletes the limits and the usage of a user. Returns {whether it had limits, in how many months
-- it had usage}.
-- KEYS: accounts that have a row, what keys of rows, ledgers and usage begin with
-- ARGV: the user, the month (YYYYMM) that is searched last, how many before it are searched too
-- finds: limit:ACCOUNT, ledgers:YYYYMM and usage:YYYYMM
local accounts, rows, ledgers, usage = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local account, month, more = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local ledger, months = 'user:' .. account, 0

redis.call('DEL', rows .. account)
local had_row = redis.call('ZREM', accounts, account)
for _ = 0, more do
	local name = string.format('%d', month)
	local gone = redis.call('HDEL', usage .. name, ledger, 'imported:' .. ledger)
	redis.call('ZREM', ledgers .. name, ledger)
	if gone > 0 then months = months + 1 end
	month = month - (month % 100 == 1 and 89 or 1)
end
return {had_row, months}
