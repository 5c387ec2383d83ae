-- Returns a page of ledgers, each as {ledger, bytes}.
-- KEYS: ledgers and usage of a month
-- ARGV: "-" or "(" and the ledger after which the page starts, how many
local ledgers, usage, from, count = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local page = redis.call('ZRANGEBYLEX', ledgers, from, '+', 'LIMIT', 0, count)
for i, name in ipairs(page) do page[i] = {name, redis.call('HGET', usage, name) or 0} end
return page
