-- Another lease of a stream. Returns what ledger_open.lua does, without limits; a call that was
-- carried out before gets the reply that was lost. {"late"}, which nobody waits for, if a later call
-- was carried out or the lease is over.
-- KEYS: usage and ledgers of the month, the lease
-- ARGV: the month, its first second and that of the next one, bytes wanted, the number of this call
--       of the lease, then name and limit of each ledger

-- include: lease_value.lua
-- include: take_bytes.lua

local usage, ledgers, lease = KEYS[1], KEYS[2], KEYS[3]
local month, start_s, end_s, wanted, call = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]

local last_call, last_bytes, last_month = read_lease(lease)
if last_call == call then return {'granted', tonumber(last_bytes), tonumber(last_month)} end
if last_call and tonumber(last_call) > tonumber(call) then return {'late'} end
if not is_in_month(start_s, end_s) then return time_reply() end

local names, limits = {}, {}
for i = 6, #ARGV, 2 do
	names[#names + 1], limits[#limits + 1] = ARGV[i], tonumber(ARGV[i + 1])
end
return take({
	usage = usage, ledgers = ledgers, lease = lease, names = names, limits = limits,
	call = call, wanted = wanted, month = month, goes_on = true,
})
