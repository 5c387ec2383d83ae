-- Drops entries that expired longer than a lease ago: until then somebody may be sending them.
-- Answers their providers.
--
-- KEYS: none
-- ARGV: prefix, lease (milliseconds), the most entries to drop
-- finds: PREFIXnote:ID PREFIXnotes PREFIXstored PREFIXslot:NODE PREFIXqueue:PROVIDER:PRIORITY
--        PREFIXqueue:PROVIDER:PRIORITY:DOMAIN
-- include: entry.lua

local lease, most = ARGV[2], ARGV[3]
local dropped = {}

for _, id in ipairs(redis.call('ZRANGE', prefix .. 'notes', '-inf', now - lease,
  'BYSCORE', 'LIMIT', 0, most)) do
  local n = look(id)
  if n then drop(id, n) else redis.call('ZREM', prefix .. 'notes', id) end
  dropped[#dropped + 1] = n and n[1]
end
return dropped
