-- Returns an account's row of limits, or nothing.
-- KEYS: accounts that have a row, what keys of rows begin with
-- ARGV: the account
-- finds: limit:ACCOUNT

-- include: limits_row.lua

local accounts, rows, account = KEYS[1], KEYS[2], ARGV[1]
return redis.call('ZSCORE', accounts, account) and read_row(rows, account)
