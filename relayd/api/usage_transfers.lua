-- Returns a page of the records of transfers: whether there may be more, the id of the last entry
-- that was looked at (false: none), and the entries that match. Few matches among many entries end
-- the page early.
--
-- KEYS: transfers
-- ARGV: "1": the newest first, the lowest and the highest id ("-" and "+" for none, "(" and the id
--       behind which the page starts), a user and a domain of which one party must be ("": any),
--       the most entries that are returned, the most that are looked at
local transfers = KEYS[1]
local newest, low, high, user, domain = ARGV[1] == '1', ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local most, budget = tonumber(ARGV[6]), tonumber(ARGV[7])
local found, last, more = {}, false, true

local function matches(text)
  if user == '' and domain == '' then return true end
  local read, record = pcall(cjson.decode, text)
  for _, party in ipairs(read and record.parties or {}) do
    if (user == '' or party.user == user) and (domain == '' or party.domain == domain) then
      return true
    end
  end
  return false
end

while more and #found < most and budget > 0 do
  local asked = math.min(budget, 500)
  local entries = newest and redis.call('XREVRANGE', transfers, high, low, 'COUNT', asked) or
    redis.call('XRANGE', transfers, low, high, 'COUNT', asked)
  more = #entries == asked
  for _, entry in ipairs(entries) do
    if #found == most then
      more = true
      break
    end
    last = entry[1]
    if matches(entry[2][2]) then found[#found + 1] = entry end
  end
  budget = budget - asked
  if newest then high = '(' .. (last or '') else low = '(' .. (last or '') end
end
return { more and 1 or 0, last, found }
