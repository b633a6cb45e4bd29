-- Brings a sticky switch together with what somebody else remembers of it: the resource's status (which seeds it),
-- or a worker.
--
-- Promises:
--   * A later epoch is not lost, and neither is a level: where the two contradict each other the higher level holds under an
--     epoch that is above both, until a person resumes it.
--   * Two stops that are not known to be one become one that is above both, with the reasons of both, as where a person stops
--     what is stopped already: who knows the one alone does not lift the other. Whichever of the two lies here and is told
--     the other; and telling either again changes nothing.
--   * Who raised it, and when, stays with it: who merely seeds it has not.
--   * What was resumed stays so, where an older stop is told. A memory that is older, and adds nothing, changes nothing but
--     the seed. A seed counts for one run of the server: one that came back may have come back with older data, and is told
--     again.
--
-- KEYS  switch
-- ARGV  level, epoch, reason, source, wall time in ms, seeds (1 or 0), channel
-- gives {level, epoch, reason, seeded} as they are now
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if not run then
  return redis.error_reply('FOREIGN INFO server names no run_id')
end
local found = redis.call('HMGET', KEYS[1], 'level', 'epoch', 'reason', 'seeded')
local level, epoch = switch_of(found[1], found[2])
if not level or not epoch then
  return no_switch(KEYS[1])
end
local stored = {level = level, epoch = epoch, reason = found[3] or ''}
local told = {level = tonumber(ARGV[1]), epoch = tonumber(ARGV[2]), reason = ARGV[3]}
local seeded = (found[4] == run or ARGV[6] == '1') and run or ''
local seeds = seeded ~= '' and seeded ~= found[4]
local learns = false

local AND, OTHERS, LONGEST = '; and ', '; and others', 600
local function gives(whole, part)
  return string.find(AND .. whole .. AND, AND .. part .. AND, 1, true) ~= nil
end
-- Whether who names the one's epoch has been told of the other.
local function includes(one, other)
  local is_given = gives(one.reason, other.reason) or string.sub(one.reason, -#OTHERS) == OTHERS
  return is_given and one.epoch > other.epoch and one.level >= other.level
end
local function is_later(one, other)
  if one.epoch ~= other.epoch then return one.epoch > other.epoch end
  if one.level ~= other.level then return one.level > other.level end
  return one.reason > other.reason
end
local function both(one, other)
  if is_later(other, one) then one, other = other, one end
  local reason = one.reason
  if gives(other.reason, reason) then
    reason = other.reason
  elseif not gives(reason, other.reason) then
    reason = shortened(reason .. AND .. other.reason, LONGEST, OTHERS)
  end
  return {level = math.max(one.level, other.level), epoch = one.epoch + 1, reason = reason}
end

if stored.level > 0 and told.level > 0 then
  local same = stored.level == told.level and stored.epoch == told.epoch and stored.reason == told.reason
  if not same and not includes(stored, told) then
    learns = true
    stored = includes(told, stored) and told or both(stored, told)
  end
elseif told.epoch > stored.epoch or (told.epoch == stored.epoch and told.level > stored.level) then
  learns = true
  if told.level >= stored.level then
    stored = told
  else
    stored.epoch = told.epoch + 1
  end
end
local text = string.format('%.0f', stored.epoch)
if learns then
  redis.call('HSET', KEYS[1], 'level', stored.level, 'epoch', text, 'reason', stored.reason,
    'source', ARGV[4], 'at_ms', ARGV[5])
end
if seeds then
  redis.call('HSET', KEYS[1], 'level', stored.level, 'epoch', text, 'reason', stored.reason, 'seeded', seeded)
end
if learns or seeds then
  redis.call('PUBLISH', ARGV[7], text)
end
return {tostring(stored.level), text, stored.reason, seeded == run and '1' or ''}
