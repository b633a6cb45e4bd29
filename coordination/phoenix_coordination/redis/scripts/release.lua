-- Gives a lease up.
--
-- Promises: only its present holder, under its present token, releases it; the mark counts under this server's run
-- alone; standbys hear of it at once. With `courtesy`, it is released only to another candidate that could quote at once
-- and has said so within that time, by the server's clock: else it stays as it is.
--
-- KEYS  lease, warm
-- ARGV  holder, token, channel, courtesy in ms (0: whoever comes)
-- gives 1 where it is released, 0 where it is not, or was not this holder's any more
local lease = redis.call('HMGET', KEYS[1], 'holder', 'token', 'released')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then
  return 0
end
if lease[3] ~= '' then
  return 1
end
if ARGV[4] ~= '0' then
  local time = redis.call('TIME')
  local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local standby = false
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], now_ms - tonumber(ARGV[4]), now_ms)) do
    standby = standby or other ~= ARGV[1]
  end
  if not standby then
    return 0
  end
end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
redis.call('HSET', KEYS[1], 'released', run, 'run', run)
redis.call('PUBLISH', ARGV[3], ARGV[2])
return 1
