-- Lowers a sticky switch: the account's, or a symbol's halt.
--
-- Promises: only who names the present epoch lowers it, and where it is to be seeded only after it has been, under the
-- server's present run; that is an epoch of its own.
--
-- KEYS  switch
-- ARGV  epoch, reason, source, wall time in ms, channel, must be seeded (1 or 0)
-- gives {1 where it is lowered else 0, level, epoch, reason, seeded} as they are now
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local stored = redis.call('HMGET', KEYS[1], 'level', 'epoch', 'reason', 'seeded')
local level, epoch, reason = stored[1] or '', stored[2] or '', stored[3] or ''
local known_level, known_epoch = switch_of(stored[1], stored[2])
if not known_level or not known_epoch then
  return no_switch(KEYS[1])
end
local seeded = (run and stored[4] == run) and '1' or ''
if (ARGV[6] == '1' and seeded ~= '1') or epoch ~= ARGV[1] or level == '0' then
  return {0, level, epoch, reason, seeded}
end
epoch = string.format('%.0f', tonumber(epoch) + 1)
redis.call('HSET', KEYS[1], 'level', '0', 'epoch', epoch, 'reason', ARGV[2], 'source', ARGV[3], 'at_ms', ARGV[4])
redis.call('PUBLISH', ARGV[5], epoch)
return {1, '0', epoch, ARGV[2], seeded}
