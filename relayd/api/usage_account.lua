-- Returns the ledgers that have bytes among some, each as {ledger, bytes}.
-- KEYS: ledgers and usage of a month
-- ARGV: ledgers
local usage = KEYS[2]
local rows = {}
for _, name in ipairs(ARGV) do
	local used = redis.call('HGET', usage, name)
	if used then rows[#rows + 1] = {name, used} end
end
return rows
