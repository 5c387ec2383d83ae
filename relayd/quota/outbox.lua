-- Writes items of the outbox, each once. Returns {number of the last item that is done, what was
-- wrong ("" if nothing), how many items were set aside}.
-- KEYS: the outbox's last number, transfers, events, what was set aside
-- ARGV: what keys of usage begin with, records to keep, number of the first item, number of an item
--       that was refused often enough (0: none), "anew" if the last number is none that this process
--       has written (else ""), then for each item the count of its words, and these
-- finds: usage:YYYYMM; the words of "back" name a lease
--
-- Words of an item: "record" JSON; "event" JSON; or "back", the lease, its last call whose reply is
-- known, "last", "doubt" (the last, and a call may still be under way) or "", the month, bytes,
-- ledgers...

-- include: lease_value.lua
-- include: pay_back.lua

local last_number, transfers, events, aside = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local usage, records_max, first, given_up = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local anew, ITEMS_AT = ARGV[5] == 'anew', 6
local ASIDE_MAX, ASIDE_LIFE_S = 1000, 30 * 24 * 60 * 60

local kinds = {}

function kinds.record(words)
	redis.call('XADD', transfers, 'MAXLEN', '~', records_max, '*', 'record', words[2])
end

function kinds.event(words)
	redis.call('XADD', events, 'MAXLEN', '~', 10000, '*', 'event', words[2])
end

-- Raises an error unless the ledger is a number or isn't there: nothing is paid back to one of several
-- ledgers alone.
local function check_ledger(key, ledger)
	local used = redis.call('HGET', key, ledger)
	if used and not string.find(used, '^%-?%d+$') then error(ledger .. ' is no number') end
end

-- Returns the bytes, and those of a call whose reply nobody knows, where KIND isn't "".
local function return_bytes(words, kind)
	local lease, known_call, month, bytes = words[2], words[3], words[5], words[6]
	local call, call_bytes, call_month = read_lease(lease)
	local with_call = kind ~= '' and tonumber(call) > tonumber(known_call)
	for n = 7, #words do
		check_ledger(usage .. month, words[n])
		if with_call then check_ledger(usage .. call_month, words[n]) end
	end
	for n = 7, #words do
		pay_back(usage .. month, words[n], bytes)
		if with_call then pay_back(usage .. call_month, words[n], call_bytes) end
	end
end

-- A lease's key names its last call. If it is gone, Redis has lost the lease together with what it had
-- taken, or no call of it was carried out yet.
function kinds.back(words)
	local lease, kind = words[2], words[4]
	if read_lease(lease) then return_bytes(words, kind) end
	if kind == 'last' then redis.call('DEL', lease) end
	if kind == 'doubt' then close_lease(lease) end
end

-- Keeps WORDS, which can't be written because of WHY, for an operator. True if that was possible.
local function set_aside(words, why)
	local item = #words == 2 and words[2] or cjson.encode({unpack(words, 2)})
	local function add()
		redis.call('XADD', aside, 'MAXLEN', '~', ASIDE_MAX, '*', 'relay',
			string.match(last_number, 'outbox:(.*)$'), 'kind', words[1], 'item', item, 'why', why)
		redis.call('EXPIRE', aside, ASIDE_LIFE_S)
	end
	if redis.pcall('TYPE', aside).ok ~= 'stream' then redis.pcall('DEL', aside) end
	return pcall(add)
end

-- An item whose number isn't above the last one was written before, and the reply got lost. An item
-- whose key is of another type never can be written and is set aside at once; after any other error
-- the rest is tried again. A last number that can't be was written by somebody else; but one that is
-- too high may also say that this call is late, so the process has to confirm that it isn't.
local function count_items()
	local count, at = 0, ITEMS_AT
	while at <= #ARGV do count, at = count + 1, at + tonumber(ARGV[at]) + 1 end
	return count
end

local readable, text = pcall(redis.call, 'GET', last_number)
local done = readable and tonumber(text or 0)
local late = done and done >= first + count_items()
if late and not anew then return {done, '', 0} end
if late or not (done and done >= 0) then
	redis.call('DEL', last_number)
	done = first - 1
end
local number, at, why, kept = first, ITEMS_AT, '', 0
while at <= #ARGV do
	local words = {}
	for n = 1, tonumber(ARGV[at]) do words[n] = ARGV[at + n] end
	if number > done then
		local fine, trouble = pcall(kinds[words[1]], words)
		if not fine then
			if type(trouble) == 'table' then trouble = trouble.err end
			why = tostring(trouble)
			local hopeless = number == given_up or string.find(why, 'WRONGTYPE', 1, true)
			if not hopeless or not set_aside(words, why) then break end
			kept = kept + 1
		end
		done = number
	end
	number, at = number + 1, at + #words + 1
end
redis.call('SET', last_number, string.format('%.0f', done), 'EX', 86400)
return {done, why, kept}
