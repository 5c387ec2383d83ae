-- Removes a claim if it is still this relay's. Returns how many were removed.
-- KEYS: the claim
-- ARGV: this relay's claim "ID EPOCH"
local key, claim = KEYS[1], ARGV[1]
if redis.call('GET', key) == claim then return redis.call('DEL', key) end
return 0
