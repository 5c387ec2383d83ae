-- Deletes a daemon's own record. A process that was started with the same id may have written its
-- record already: that one stays.
-- KEYS: 1 the index of the kind, 2 the record
-- ARGV: 1 id, 2 epoch of the process that leaves
local id, epoch = ARGV[1], ARGV[2]

local record = redis.call('GET', KEYS[2])
if record and string.match(record, '"epoch":(%d+)') ~= epoch then return 0 end
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[1], id)
return 1
