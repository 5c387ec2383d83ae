-- The first lease of a stream. Returns {"granted", bytes, month, limit of the file, limits of the
-- ledgers, each of them once...}, {"over", ledger, limit}, {"forbidden", ledger, -1}, or {"month",
-- ms since 1970} if it is another month; {"late"}, which nobody waits for, if the lease is over.
-- KEYS: usage and ledgers of the month, the lease, and of each charged party (none to two) the rows
--       of limits of its user and its domain
-- ARGV: the month, its first second and that of the next one, bytes wanted, default limits of file,
--       user and domain, limits of the instance and of all, the instance's ledger, the accounts of
--       the rows

-- include: lease_value.lua
-- include: take_bytes.lua

local usage, ledgers, lease = KEYS[1], KEYS[2], KEYS[3]
local month, start_s, end_s, wanted = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local defaults = {tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])}
local instance_limit, global_limit = tonumber(ARGV[8]), tonumber(ARGV[9])
local instance = ARGV[10]
local parties = {}
for i = 0, #KEYS - 4, 2 do
	parties[#parties + 1] = {
		user = ARGV[11 + i], domain = ARGV[12 + i],
		user_row = KEYS[4 + i], domain_row = KEYS[5 + i],
	}
end

if read_lease(lease) then return {'late'} end
if not is_in_month(start_s, end_s) then return time_reply() end

local forbidden

-- Sets a party's limits of file, user and domain: each is its user's, else its domain's, else the
-- default; 0 is none.
local function set_limits(party)
	local user = redis.call('HMGET', party.user_row, 'file', 'user', 'domain')
	local domain = redis.call('HMGET', party.domain_row, 'file', 'user', 'domain')
	local limits = {}
	for i = 1, 3 do
		limits[i] = tonumber(user[i] or 0)
		if limits[i] == 0 then limits[i] = tonumber(domain[i] or 0) end
		if limits[i] == 0 then limits[i] = defaults[i] end
		if limits[i] < 0 then forbidden = forbidden or 'user:' .. party.user end
	end
	party.limits = {file = limits[1], user = limits[2], domain = limits[3]}
end

local function least(one, other)
	if one == 0 or (other ~= 0 and other < one) then return other end
	return one
end

for _, party in ipairs(parties) do set_limits(party) end
local names, limits, places = {}, {}, {}

-- A ledger that both parties share has the lower one of their limits.
local function add(name, limit)
	if limit < 0 then forbidden = forbidden or name end
	if places[name] then
		limits[places[name]] = least(limits[places[name]], limit)
	else
		names[#names + 1], limits[#limits + 1] = name, limit
		places[name] = #names
	end
end

for _, party in ipairs(parties) do add('user:' .. party.user, party.limits.user) end
for _, party in ipairs(parties) do add('domain:' .. party.domain, party.limits.domain) end
add(instance, instance_limit)
add('global', global_limit)
if forbidden then return {'forbidden', forbidden, -1} end

local file = 0
for _, party in ipairs(parties) do file = least(file, party.limits.file) end
local reply = take({
	usage = usage, ledgers = ledgers, lease = lease, names = names, limits = limits,
	call = 1, wanted = least(wanted, file), month = month,
})
if reply[1] ~= 'granted' then return reply end
reply[4] = file
for _, limit in ipairs(limits) do reply[#reply + 1] = limit end
return reply
