-- Writes a daemon's own record, unless there is one of another process with the same id; one that
-- drains gives way, and so does one whose record may be replaced. The index serves to find records
-- without SCAN; the expiry of the record itself is what counts, by Redis's clock. Returns 1, or of
-- the other's record {when it expires, in how many ms that is, the record}. A Redis that is full
-- takes it, too, since the first write takes no memory.
-- KEYS: 1 the index of the kind (id -> time at which its record expires), 2 the record
-- ARGV: 1 id, 2 the record, 3 its life in ms, 4 the epoch of the process, 5 another's record that
--       may be replaced, or ""
local id, record, life, epoch, replaced = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

-- True if OTHER, found in the place of the record, is that of another process that may be alive.
local function stays(other, left)
	if type(other) ~= 'string' or other == replaced or left < 0 then return false end
	local theirs = string.match(other, '"epoch":(%d+)')
	return theirs and theirs ~= epoch and not string.find(other, '"draining":true', 1, true)
end

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local other, left = redis.pcall('GET', KEYS[2]), redis.call('PTTL', KEYS[2])
if stays(other, left) then return {now + left, left, other} end
redis.call('ZREM', KEYS[1], id)
redis.call('SET', KEYS[2], record, 'PX', life)
redis.call('ZADD', KEYS[1], now + life, id)
redis.call('PEXPIRE', KEYS[1], life)
return 1
