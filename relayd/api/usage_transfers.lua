-- Returns a page of the records of transfers.
-- KEYS: transfers
-- ARGV: "-" or "(" and the id after which the page starts, how many
local transfers, from, count = KEYS[1], ARGV[1], ARGV[2]
return redis.call('XRANGE', transfers, from, '+', 'COUNT', count)
