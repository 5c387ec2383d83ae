-- Lowers a ledger, though not below 0. Returns {ledger, bytes}, as it is then.
-- KEYS: ledgers and usage of the month
-- ARGV: the ledger, bytes

-- include: pay_back.lua

local usage, ledger, bytes = KEYS[2], ARGV[1], ARGV[2]
return {ledger, pay_back(usage, ledger, bytes)}
