-- Removes an entry, whose verdict is in. Answers "done" or "absent".
--
-- KEYS: none
-- ARGV: prefix, id
-- finds: PREFIXnote:ID PREFIXnotes PREFIXstored PREFIXslot:NODE PREFIXqueue:PROVIDER:PRIORITY
--        PREFIXqueue:PROVIDER:PRIORITY:DOMAIN
-- include: entry.lua

local id = ARGV[2]
local n = look(id)

if not n then return 'absent' end
drop(id, n)
return 'done'
