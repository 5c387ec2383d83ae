#include "relayd/quota/ledger_lua.h"

/*
 * What both scripts have in common. The share of what remains makes leases smaller towards the
 * limit, so that many streams reach it together.
 *
 * "global" is the last ledger of all, so that it is new means that the month is.
 *
 * A lease's key, "CALL BYTES MONTH", is kept for a day after its last call: as long as an answer
 * may be asked for again.
 */
/* clang-format off */
#define COMMON \
	"local time = redis.call('TIME')\n" \
	"local function other_month()\n" \
	"	local now = tonumber(time[1])\n" \
	"	return now < tonumber(ARGV[2]) or now >= tonumber(ARGV[3])\n" \
	"end\n" \
	"local function now()\n" \
	"	return {'month', time[1] * 1000 + math.floor(time[2] / 1000)}\n" \
	"end\n" \
	"local function take(names, limits, call, bytes)\n" \
	"	local used, count = redis.call('HMGET', KEYS[1], unpack(names)), 0\n" \
	"	for i, limit in ipairs(limits) do\n" \
	"		local left = limit - (used[i] or 0)\n" \
	"		if limit > 0 and left <= 0 then return {'over', names[i], limit} end\n" \
	"		if limit > 0 then\n" \
	"			local share = math.max(65536, math.floor(left / 8))\n" \
	"			bytes = math.min(bytes, left, share)\n" \
	"		end\n" \
	"	end\n" \
	"	local text = string.format('%.0f', bytes)\n" \
	"	for i, name in ipairs(names) do\n" \
	"		count = redis.call('HINCRBY', KEYS[1], name, text)\n" \
	"		if not used[i] then redis.call('ZADD', KEYS[2], 0, name) end\n" \
	"	end\n" \
	"	if count == bytes then\n" \
	"		redis.call('EXPIRE', KEYS[1], 34560000)\n" \
	"		redis.call('EXPIRE', KEYS[2], 34560000)\n" \
	"	end\n" \
	"	local done = call .. ' ' .. text .. ' ' .. ARGV[1]\n" \
	"	redis.call('SET', KEYS[3], done, 'EX', 86400)\n" \
	"	return {'granted', bytes, tonumber(ARGV[1])}\n" \
	"end\n"
/* clang-format on */

/* Of a party each limit is its user's, else its domain's, else the default; 0 is none. */
struct redis_script ledger_open_script = {
	COMMON
	"local forbidden\n"
	"local function party(place)\n"
	"	local user = redis.call('HMGET', KEYS[4 + place], 'file', 'user', 'domain')\n"
	"	local domain = redis.call('HMGET', KEYS[5 + place], 'file', 'user', 'domain')\n"
	"	local own = {}\n"
	"	for i = 1, 3 do\n"
	"		own[i] = tonumber(user[i] or 0)\n"
	"		if own[i] == 0 then own[i] = tonumber(domain[i] or 0) end\n"
	"		if own[i] == 0 then own[i] = tonumber(ARGV[4 + i]) end\n"
	"		if own[i] < 0 and not forbidden then\n"
	"			forbidden = 'user:' .. ARGV[9 + place]\n"
	"		end\n"
	"	end\n"
	"	return own\n"
	"end\n"
	"local function least(one, other)\n"
	"	if one == 0 or (other ~= 0 and other < one) then return other end\n"
	"	return one\n"
	"end\n"
	"\n"
	"if other_month() then return now() end\n"
	"local first, second = party(1), party(3)\n"
	"local all = {first[2], second[2], first[3], second[3],\n"
	"	tonumber(ARGV[8]), tonumber(ARGV[9])}\n"
	"local names, limits, places = {}, {}, {}\n"
	"local ledgers = {'user:' .. ARGV[10], 'user:' .. ARGV[12], 'domain:' .. ARGV[11],\n"
	"	'domain:' .. ARGV[13], ARGV[14], 'global'}\n"
	"for i, limit in ipairs(all) do\n"
	"	local name = ledgers[i]\n"
	"	if limit < 0 then forbidden = forbidden or name end\n"
	"	if places[name] then\n"
	"		limits[places[name]] = least(limits[places[name]], limit)\n"
	"	else\n"
	"		names[#names + 1], limits[#limits + 1] = name, limit\n"
	"		places[name] = #names\n"
	"	end\n"
	"end\n"
	"if forbidden then return {'forbidden', forbidden, -1} end\n"
	"local file = least(first[1], second[1])\n"
	"local answer = take(names, limits, 1, least(tonumber(ARGV[4]), file))\n"
	"if answer[1] ~= 'granted' then return answer end\n"
	"for i = 10, 13 do redis.call('ZADD', KEYS[4], 0, ARGV[i]) end\n"
	"answer[4] = file\n"
	"for _, limit in ipairs(limits) do answer[#answer + 1] = limit end\n"
	"return answer\n",
	"",
};

struct redis_script ledger_take_script = {
	COMMON "local last = redis.call('GET', KEYS[3]) or ''\n"
	       "local call, bytes, month = string.match(last, '^(%d+) (%d+) (%d+)$')\n"
	       "if call == ARGV[5] then return {'granted', tonumber(bytes), tonumber(month)} end\n"
	       "if other_month() then return now() end\n"
	       "local names, limits = {}, {}\n"
	       "for i = 6, #ARGV, 2 do\n"
	       "	names[#names + 1], limits[#limits + 1] = ARGV[i], tonumber(ARGV[i + 1])\n"
	       "end\n"
	       "return take(names, limits, ARGV[5], tonumber(ARGV[4]))\n",
	"",
};
