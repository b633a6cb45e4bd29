-- Says what the account's resource declares of its switch (spec.emergency), beside what is sticky there.
--
-- Promises:
--   * Of the sticky switch nothing changes, neither level and epoch nor reason, source and seed: no declaration lowers a stop,
--     and none that is taken back leaves one.
--   * Everyone hears of a change, and of nothing else. What was declared and is told again is none.
--   * Where no worker wrote what lies there, nothing is written.
--
-- KEYS  switch
-- ARGV  level, channel
-- gives 1 where another was declared before, else 0
local found = redis.call('HMGET', KEYS[1], 'level', 'epoch', 'declared')
local level, epoch = switch_of(found[1], found[2])
local declared = integer(found[3] or '0', 0, 2)
if not level or not epoch or not declared then
  return no_switch(KEYS[1])
end
if declared == tonumber(ARGV[1]) then
  return 0
end
if ARGV[1] == '0' then
  redis.call('HDEL', KEYS[1], 'declared')
else
  redis.call('HSET', KEYS[1], 'declared', ARGV[1])
end
redis.call('PUBLISH', ARGV[2], 'declared')
return 1
