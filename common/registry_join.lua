-- Writes a daemon's own record. The index serves to find records without SCAN; the expiry of the
-- record itself is what counts, by Redis's clock. A Redis that is full takes it, too, since the first
-- write takes no memory.
-- KEYS: 1 the index of the kind (id -> time at which its record expires), 2 the record
-- ARGV: 1 id, 2 the record, 3 its life in ms
local id, record, life = ARGV[1], ARGV[2], ARGV[3]

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREM', KEYS[1], id)
redis.call('SET', KEYS[2], record, 'PX', life)
redis.call('ZADD', KEYS[1], now + life, id)
redis.call('PEXPIRE', KEYS[1], life)
return 1
