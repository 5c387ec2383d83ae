-- {account, limits of file, user and domain}; ROWS is what keys of rows begin with.
local function read_row(rows, account)
	local row = redis.call('HMGET', rows .. account, 'file', 'user', 'domain')
	return {account, row[1] or 0, row[2] or 0, row[3] or 0}
end
