-- Deletes an account's row of limits. Returns how many there were.
-- KEYS: accounts that have a row, what keys of rows begin with
-- ARGV: the account
-- finds: limit:ACCOUNT
local accounts, rows, account = KEYS[1], KEYS[2], ARGV[1]
redis.call('DEL', rows .. account)
return redis.call('ZREM', accounts, account)
