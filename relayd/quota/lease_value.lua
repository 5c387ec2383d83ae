-- The value of a lease's key, "CALL BYTES MONTH": the lease's last call and what it took. It is kept
-- for a day after that call, as long as the reply may be asked for again.
local function write_lease(key, call, bytes, month)
	redis.call('SET', key, call .. ' ' .. bytes .. ' ' .. month, 'EX', 86400)
end

-- No call of this lease is carried out any more, not even one that was sent before: a connection that
-- was given up may deliver for about 100 s what was sent on it (tcp_orphan_retries).
local function close_lease(key)
	redis.call('SET', key, '4294967295 0 0', 'EX', 120)
end

-- CALL, BYTES and MONTH as texts, or nil.
local function read_lease(key)
	return string.match(redis.call('GET', key) or '', '^(%d+) (%d+) (%d+)$')
end
