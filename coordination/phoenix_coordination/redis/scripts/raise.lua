-- Raises a sticky switch: the account's, or a symbol's halt.
--
-- Promises: the level never falls; each change grows the epoch, beyond `floor` too; everyone hears of a change. A switch
-- that nobody has seeded stays unseeded. A person who stops what is stopped already makes a new epoch, with the reasons of
-- both: who knows the earlier one alone does not lift it.
--
-- KEYS  switch
-- ARGV  level, floor, reason, source, wall time in ms, channel, a person (1) or a program, which says it again and again
-- gives {level, epoch, reason, seeded} as they are now
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local stored = redis.call('HMGET', KEYS[1], 'level', 'epoch', 'reason', 'seeded', 'source')
local level, epoch = switch_of(stored[1], stored[2])
if not level or not epoch then
  return no_switch(KEYS[1])
end
local reason = stored[3] or ''
epoch = math.max(0, epoch)
local person = ARGV[7] == '1'
if person or tonumber(ARGV[1]) > level then
  local before = (person and level > 0) and shortened('; before, by ' .. (stored[5] or '?') .. ': ' .. reason, 400, '') or ''
  level, epoch = math.max(level, tonumber(ARGV[1])), math.max(epoch, tonumber(ARGV[2])) + 1
  reason = ARGV[3] .. before
  redis.call('HSET', KEYS[1], 'level', level, 'epoch', string.format('%.0f', epoch), 'reason', reason, 'source', ARGV[4],
    'at_ms', ARGV[5])
  redis.call('PUBLISH', ARGV[6], string.format('%.0f', epoch))
end
return {tostring(level), string.format('%.0f', epoch), reason, (run and stored[4] == run) and '1' or ''}
