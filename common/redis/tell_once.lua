-- Remembers that something was told and leaves the event for the gateways, both or neither. Returns
-- 1, or 0 if it had been told before. A full Redis runs it, too, because its first write, XTRIM, takes
-- no memory (see redis_memory.h).
-- KEYS: what remembers it, the stream of events
-- ARGV: life of the former in ms, how many events are kept, the event (JSON)
local told, events = KEYS[1], KEYS[2]
local life_ms, most, event = ARGV[1], ARGV[2], ARGV[3]
redis.call('XTRIM', events, 'MAXLEN', '~', most)
if not redis.call('SET', told, '1', 'NX', 'PX', life_ms) then return 0 end
redis.call('XADD', events, 'MAXLEN', '~', most, '*', 'event', event)
return 1
