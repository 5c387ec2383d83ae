-- Writes items of the outbox, each once. Returns {number of the last item that is done, what was
-- wrong ("" if nothing)}.
-- KEYS: the outbox's last number, transfers, events
-- ARGV: what keys of usage begin with, records to keep, number of the first item, then for each item
--       the count of its words, and these
-- finds: usage:YYYYMM; the words of "back" name a lease
--
-- Words of an item: "record" JSON; "event" JSON; or "back", the lease, its last call whose reply is
-- known, "last" or "", the month, bytes, ledgers...

-- include: lease_value.lua
-- include: pay_back.lua

local last_number, transfers, events = KEYS[1], KEYS[2], KEYS[3]
local usage, records_max, first = ARGV[1], ARGV[2], tonumber(ARGV[3])

local kinds = {}

function kinds.record(words)
	redis.call('XADD', transfers, 'MAXLEN', '~', records_max, '*', 'record', words[2])
end

function kinds.event(words)
	redis.call('XADD', events, 'MAXLEN', '~', 10000, '*', 'event', words[2])
end

-- A lease's key names its last call. If it is gone, this return was carried out before, or Redis has
-- lost the lease together with what it had taken.
function kinds.back(words)
	local lease, known_call, kind, month, bytes = unpack(words, 2, 6)
	local call, call_bytes, call_month = read_lease(lease)
	if not call then return end
	for n = 7, #words do pay_back(usage .. month, words[n], bytes) end
	if kind ~= 'last' then return end
	if tonumber(call) > tonumber(known_call) then
		for n = 7, #words do pay_back(usage .. call_month, words[n], call_bytes) end
	end
	redis.call('DEL', lease)
end

-- An item whose number isn't above the last one was written before, and the reply got lost. An item
-- whose key is of another type never can be written and counts as done; after any other error the
-- rest is tried again. A last number that is none was written by somebody else.
local readable, text = pcall(redis.call, 'GET', last_number)
local done = readable and tonumber(text or 0)
if not done then
	redis.call('DEL', last_number)
	done = first - 1
end
local number, at, why = first, 4, ''
while at <= #ARGV do
	local words = {}
	for n = 1, tonumber(ARGV[at]) do words[n] = ARGV[at + n] end
	if number > done then
		local fine, trouble = pcall(kinds[words[1]], words)
		if not fine then
			if type(trouble) == 'table' then trouble = trouble.err end
			why = tostring(trouble)
			if not string.find(why, 'WRONGTYPE', 1, true) then break end
		end
		done = number
	end
	number, at = number + 1, at + #words + 1
end
redis.call('SET', last_number, string.format('%.0f', done), 'EX', 86400)
return {done, why}
