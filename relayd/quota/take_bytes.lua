-- Taking bytes from ledgers: from all of them or from none.
local time = redis.call('TIME')

local function is_in_month(start_s, end_s)
	local now_s = tonumber(time[1])
	return now_s >= tonumber(start_s) and now_s < tonumber(end_s)
end

-- The reply when it is another month than the caller thinks.
local function time_reply()
	return {'month', time[1] * 1000 + math.floor(time[2] / 1000)}
end

-- The bytes that all ledgers can give, at most WANTED; or nil and the place of one that is used up.
-- Near a limit leases get smaller, so that many streams reach it together.
local function affordable(used, limits, wanted)
	local bytes = wanted
	for i, limit in ipairs(limits) do
		local left = limit - (used[i] or 0)
		if limit > 0 and left <= 0 then return nil, i end
		if limit > 0 then
			bytes = math.min(bytes, left, math.max(65536, math.floor(left / 8)))
		end
	end
	return bytes
end

-- usage, ledgers, lease: keys; names, limits: of the ledgers; call: of the lease; wanted: bytes;
-- month: its number; goes_on: the stream is under way. Such a stream gets bytes from a full Redis,
-- too, because the first write, PERSIST, takes no memory. Returns the reply.
local function take(ask)
	local used = redis.call('HMGET', ask.usage, unpack(ask.names))
	local bytes, empty = affordable(used, ask.limits, ask.wanted)
	if not bytes then return {'over', ask.names[empty], ask.limits[empty]} end
	if ask.goes_on then redis.call('PERSIST', ask.lease) end
	local text, count = string.format('%.0f', bytes), 0
	for i, name in ipairs(ask.names) do
		count = redis.call('HINCRBY', ask.usage, name, text)
		if not used[i] then redis.call('ZADD', ask.ledgers, 0, name) end
	end
	-- `global` is incremented last: if its value equals this lease it was just created, so the
	-- month's keys are new and need their expiry.
	if count == bytes then
		redis.call('EXPIRE', ask.usage, 34560000)
		redis.call('EXPIRE', ask.ledgers, 34560000)
	end
	write_lease(ask.lease, ask.call, text, ask.month)
	return {'granted', bytes, tonumber(ask.month)}
end
