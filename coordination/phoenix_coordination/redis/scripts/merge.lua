-- Brings a sticky switch together with what somebody else remembers of it: the resource's status (which seeds it),
-- or a worker.
--
-- Promises: a later epoch is not lost, and neither is a level: where the two contradict each other the higher level holds
-- under an epoch that is above both, until a person resumes it. A memory that is older changes nothing but the seed. A seed
-- counts for one run of the server: one that came back may have come back with older data, and is told again.
--
-- KEYS  switch
-- ARGV  level, epoch, reason, source, wall time in ms, seeds (1 or 0), channel
-- gives {level, epoch, reason, seeded} as they are now
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if not run then
  return redis.error_reply('FOREIGN INFO server names no run_id')
end
local stored = redis.call('HMGET', KEYS[1], 'level', 'epoch', 'reason', 'seeded')
local level, epoch, reason = tonumber(stored[1] or '0'), tonumber(stored[2] or '-1'), stored[3] or ''
if not level or not epoch then
  return redis.error_reply('FOREIGN ' .. KEYS[1] .. ' holds no switch: move it away, it is not ours')
end
local told_level, told_epoch = tonumber(ARGV[1]), tonumber(ARGV[2])
local seeded = (stored[4] == run or ARGV[6] == '1') and run or ''
local changed = seeded ~= '' and seeded ~= stored[4]
if told_epoch > epoch or (told_epoch == epoch and told_level > level) then
  changed = true
  if told_level >= level then
    level, epoch, reason = told_level, told_epoch, ARGV[3]
  else
    epoch = told_epoch + 1
  end
end
if changed then
  redis.call('HSET', KEYS[1], 'level', level, 'epoch', string.format('%.0f', epoch), 'reason', reason, 'seeded', seeded,
    'source', ARGV[4], 'at_ms', ARGV[5])
  redis.call('PUBLISH', ARGV[7], string.format('%.0f', epoch))
end
return {tostring(level), string.format('%.0f', epoch), reason, seeded == run and '1' or ''}
