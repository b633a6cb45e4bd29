-- Gives a lease up.
--
-- Promises: only its present holder, under its present token, releases it; the mark counts under this server's run
-- alone; standbys hear of it at once.
--
-- KEYS  lease
-- ARGV  holder, token, channel
-- gives 1 where it is released, 0 where it was not this holder's any more
local lease = redis.call('HMGET', KEYS[1], 'holder', 'token', 'released')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then
  return 0
end
if lease[3] == '' then
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  redis.call('HSET', KEYS[1], 'released', run)
  redis.call('PUBLISH', ARGV[3], ARGV[2])
end
return 1
