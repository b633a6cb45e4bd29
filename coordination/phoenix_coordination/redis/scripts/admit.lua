-- Registers what a maker costs of the egress's weight a minute even when it does not quote, where that fits.
--
-- Promises:
--   * What the registered makers cost together, each of them alive within `lives`, is never raised above the cap here.
--   * A maker that is refused leaves nothing behind. One that asks again replaces its own line.
--   * A line that a clock had written in the future counts as written now.
--
-- KEYS  makers (hash)
-- ARGV  holder, fixed weight, cap, ms that a line lives (of the run's time), rate of the run's clock,
--       line of the account, its weight (what an account costs once, however many makers it has)
-- gives {1 (admitted) or 0, what is taken, by how many makers}
local fixed, cap, lives_ms = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local account, account_weight = ARGV[6], tonumber(ARGV[7])
local time = redis.call('TIME')
local now = math.floor((tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)) * tonumber(ARGV[5]))
local taken, makers, account_is_there = 0, 0, false
local lines = redis.call('HGETALL', KEYS[1])
for index = 1, #lines, 2 do
  local name = lines[index]
  local weight, at = string.match(lines[index + 1], '^(%d+) (%d+)$')
  weight, at = tonumber(weight), tonumber(at)
  if not weight then
    return redis.error_reply('FOREIGN ' .. KEYS[1] .. ' ' .. name .. ' is no maker: it is not ours')
  end
  if at > now then
    redis.call('HSET', KEYS[1], name, string.format('%.0f %.0f', weight, now))
  end
  if now - at > lives_ms then
    redis.call('HDEL', KEYS[1], name)
  elseif name == account then
    taken, account_is_there = taken + weight, true
  elseif name ~= ARGV[1] then
    taken = taken + weight
    if string.sub(name, 1, 8) ~= 'account:' then makers = makers + 1 end
  end
end
if not account_is_there then fixed = fixed + account_weight end
if taken + fixed > cap then
  redis.call('HDEL', KEYS[1], ARGV[1])
  return {0, string.format('%.0f', taken), makers}
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %.0f', tonumber(ARGV[2]), now))
if account_weight > 0 then
  redis.call('HSET', KEYS[1], account, string.format('%.0f %.0f', account_weight, now))
end
return {1, string.format('%.0f', taken), makers}
