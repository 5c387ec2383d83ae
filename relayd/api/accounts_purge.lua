-- Deletes the entries of a stream of records or events that name a user. Returns {how many were
-- deleted, the id of the last entry that was looked at, or false at the stream's end}.
-- KEYS: transfers or events
-- ARGV: the user, "-" or "(" and the id behind which the search starts, the most entries that are
--       looked at
local entries, user, from, most = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])

-- JID: full
local function is_of(jid)
	return type(jid) == 'string' and string.match(jid, '^[^/]*') == user
end

local function names(text)
	local read, entry = pcall(cjson.decode, text)
	if not read or type(entry) ~= 'table' then return false end
	for _, party in ipairs(type(entry.parties) == 'table' and entry.parties or {}) do
		if type(party) == 'table' and party.user == user then return true end
	end
	return is_of(entry.requester) or is_of(entry.target)
end

local page = redis.call('XRANGE', entries, from, '+', 'COUNT', most)
local deleted = 0
for _, entry in ipairs(page) do
	if names(entry[2][2]) then deleted = deleted + redis.call('XDEL', entries, entry[1]) end
end
return {deleted, #page == most and page[most][1]}
