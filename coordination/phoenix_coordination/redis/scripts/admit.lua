-- Registers what a maker costs of the egress's weight a minute even when it does not quote, where that fits.
--
-- The cost is a symbol's, whoever works on it: leader, standby, the new pod of a roll-out and the successor of a killed
-- worker share one line, which counts once, at the most that any of them named, while any of them is alive. Only the
-- leader arms the dead-man and reads the truth, which is nearly all of the cost: what the others need beside (clock,
-- filters, fees) is a few a minute, and counts in the window of weight like everything that is sent.
--
-- Promises:
--   * What the lines cost together, each with a worker alive within `lives`, is never raised above the cap here. Who
--     raises nothing, because its line counts already, is always admitted: a full egress can still replace its workers.
--   * A worker that is refused leaves nothing behind. One that asks again replaces what it had named.
--   * What a clock had written in the future counts as written now.
--
-- KEYS  makers (hash: by worker or account `weight at line`; an account is a line of its own and names none)
-- ARGV  holder, line of its symbol, fixed weight, cap, ms that an entry lives (of the run's time), rate of the run's
--       clock, line of the account, its weight (what an account costs once, however many makers it has)
-- gives {1 (admitted) or 0, what the other lines take, of how many makers, what this one adds to them}
local holder, own_line, fixed, cap, lives_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local account, account_weight = ARGV[7], tonumber(ARGV[8])
local time = redis.call('TIME')
local now = math.floor((tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)) * tonumber(ARGV[6]))
local weights = {}
local entries = redis.call('HGETALL', KEYS[1])
for index = 1, #entries, 2 do
  local name = entries[index]
  local weight, at, line = string.match(entries[index + 1], '^(%d+) (%d+) ?(.*)$')
  weight, at = integer(weight), integer(at)
  if not weight or not at then
    return redis.error_reply('FOREIGN ' .. KEYS[1] .. ' ' .. name .. ' is no maker: it is not ours')
  end
  if at > now then
    redis.call('HSET', KEYS[1], name, string.format('%.0f %.0f %s', weight, now, line))
  end
  if now - at > lives_ms then
    redis.call('HDEL', KEYS[1], name)
  elseif name ~= holder then
    if line == '' then line = name end
    weights[line] = math.max(weights[line] or 0, weight)
  end
end
local taken, makers = 0, 0
for line, weight in pairs(weights) do
  if line ~= own_line then
    taken = taken + weight
    if string.sub(line, 1, 8) ~= 'account:' then makers = makers + 1 end
  end
end
local counted = weights[own_line] or 0
local added = math.max(fixed, counted) + (weights[account] and 0 or account_weight)
if added > counted and taken + added > cap then
  redis.call('HDEL', KEYS[1], holder)
  return {0, string.format('%.0f', taken), makers, string.format('%.0f', added)}
end
redis.call('HSET', KEYS[1], holder, string.format('%.0f %.0f %s', fixed, now, own_line))
if account_weight > 0 then
  redis.call('HSET', KEYS[1], account, string.format('%.0f %.0f', account_weight, now))
end
return {1, string.format('%.0f', taken), makers, string.format('%.0f', added)}
