-- Says which account a resource names.
--
-- Promises: while workers of the account that it named tell of themselves, a name is given to no other: who stops an
-- account by its name reaches the one that trades.
--
-- KEYS  name
-- ARGV  identity, how long a record lives in ms
local named = redis.call('GET', KEYS[1])
if named and named ~= ARGV[1] then
  local time = redis.call('TIME')
  local oldest_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - tonumber(ARGV[2])
  -- Not among the keys: only the name tells which account it is. A Cluster, which would mind, is refused before.
  if redis.call('ZCOUNT', 'mm:{' .. named .. '}:records', string.format('%.0f', oldest_ms), '+inf') > 0 then
    return redis.error_reply('TAKEN ' .. KEYS[1] .. ' is ' .. named .. ', whose workers live')
  end
end
return redis.call('SET', KEYS[1], ARGV[1])
