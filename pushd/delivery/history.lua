-- Adds a verdict to a device's history.
--
-- KEYS: the history (a list, the newest first)
-- ARGV: the verdict, how many are kept, the list's life (milliseconds)

local history = KEYS[1]
local verdict, most, life = ARGV[1], ARGV[2], ARGV[3]

redis.call('LPUSH', history, verdict)
redis.call('LTRIM', history, 0, most - 1)
redis.call('PEXPIRE', history, life)
return 1
