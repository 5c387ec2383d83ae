-- Returns a page of rows of limits.
-- KEYS: accounts that have a row, what keys of rows begin with
-- ARGV: "-" or "(" and the account after which the page starts, how many rows
-- finds: limit:ACCOUNT

-- include: limits_row.lua

local accounts, rows, from, count = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local page = redis.call('ZRANGEBYLEX', accounts, from, '+', 'LIMIT', 0, count)
for i, account in ipairs(page) do page[i] = read_row(rows, account) end
return page
