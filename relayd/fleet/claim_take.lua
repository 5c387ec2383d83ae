-- Claims a hash for a relay. Returns {claim}, or {claim, record} with the record of the relay that
-- owns the hash, if there is one.
-- KEYS: the claim
-- ARGV: this relay's claim "ID EPOCH", life in ms, what keys of relays' records begin with, the
--       life in ms below which a claim has missed a renewal
-- finds: registry:relay:ID
local key, claim, life, records, renewed = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

-- A claim is dead and is taken over if its relay has started anew since. It is dead also if its
-- relay has no record and has missed a renewal: then the relay has crashed. A relay that only lost
-- Redis for a moment keeps its claims, and so does one whose record is still that of an earlier
-- self. An own claim is found where Redis had carried out the script, and the reply got lost.
local owner = redis.call('GET', key)
local id, epoch = string.match(owner or '', '^(%S+) (%d+)$')
if id and id ~= string.match(claim, '^%S+') then
	local record = redis.call('GET', records .. id)
	local known = tonumber(record and string.match(record, '"epoch":(%d+)') or 0)
	if known == tonumber(epoch) then return {owner, record} end
	if known < tonumber(epoch) and redis.call('PTTL', key) > renewed then return {owner, record} end
end
redis.call('SET', key, claim, 'PX', life)
return {claim}
