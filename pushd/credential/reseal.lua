-- Replaces a sealed text by the same, sealed anew, unless another one stands there. Its life stays.
-- Answers 1, or 0 when it wasn't replaced.
--
-- KEYS: the sealed text
-- ARGV: what it was, what it is to be

local text = KEYS[1]

if redis.call('GET', text) ~= ARGV[1] then return 0 end
redis.call('SET', text, ARGV[2], 'KEEPTTL')
return 1
