-- Deletes the records of transfers that are older than they may be. Returns how many.
-- KEYS: transfers
-- ARGV: milliseconds

local transfers, keep = KEYS[1], ARGV[1]

local time = redis.call('TIME')
local first = time[1] * 1000 + math.floor(time[2] / 1000) - keep
return redis.call('XTRIM', transfers, 'MINID', string.format('%.0f', math.max(first, 0)))
