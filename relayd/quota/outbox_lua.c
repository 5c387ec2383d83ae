#include "relayd/quota/outbox_lua.h"

/*
 * An item whose number is not above the last one was written before, when an answer got lost. One
 * that can never be written, since its key is of another type, must not hold the others up; after
 * any other trouble the rest is tried again.
 *
 * A lease's key names its last call: that it is gone means that the last return was carried out,
 * or that Redis has lost it together with what it had taken.
 */
struct redis_script outbox_script = {
	"local usage, kinds = ARGV[1], {}\n"
	"function kinds.record(words)\n"
	"	redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'record', words[2])\n"
	"end\n"
	"function kinds.event(words)\n"
	"	redis.call('XADD', KEYS[3], 'MAXLEN', '~', 10000, '*', 'event', words[2])\n"
	"end\n"
	"local function pay(month, bytes, words)\n"
	"	for n = 7, #words do\n"
	"		local used = tonumber(redis.call('HGET', usage .. month, words[n]) or 0)\n"
	"		local back = math.min(used, tonumber(bytes))\n"
	"		if back > 0 then\n"
	"			redis.call('HINCRBY', usage .. month, words[n],\n"
	"				string.format('-%.0f', back))\n"
	"		end\n"
	"	end\n"
	"end\n"
	"function kinds.back(words)\n"
	"	local lease = redis.call('GET', words[2])\n"
	"	if not lease then return end\n"
	"	local call, bytes, month = string.match(lease, '^(%d+) (%d+) (%d+)$')\n"
	"	pay(words[5], words[6], words)\n"
	"	if words[4] == 'last' then\n"
	"		if tonumber(call) > tonumber(words[3]) then pay(month, bytes, words) end\n"
	"		redis.call('DEL', words[2])\n"
	"	end\n"
	"end\n"
	"\n"
	"local done = tonumber(redis.call('GET', KEYS[1]) or 0)\n"
	"local number, at, why = tonumber(ARGV[3]), 4, ''\n"
	"while at <= #ARGV do\n"
	"	local words = {}\n"
	"	for n = 1, tonumber(ARGV[at]) do words[n] = ARGV[at + n] end\n"
	"	if number > done then\n"
	"		local fine, trouble = pcall(kinds[words[1]], words)\n"
	"		if not fine then\n"
	"			if type(trouble) == 'table' then trouble = trouble.err end\n"
	"			why = tostring(trouble)\n"
	"			if not string.find(why, 'WRONGTYPE', 1, true) then break end\n"
	"		end\n"
	"		done = number\n"
	"	end\n"
	"	number, at = number + 1, at + #words + 1\n"
	"end\n"
	"redis.call('SET', KEYS[1], string.format('%.0f', done), 'EX', 86400)\n"
	"return {done, why}\n",
	"",
};
