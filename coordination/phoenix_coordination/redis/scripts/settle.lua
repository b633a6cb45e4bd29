-- Sets one symbol's entry of the account's ledger to what the exchange holds: for a symbol whose maker is gone.
--
-- Promises:
--   * Only the lease's present holder, under its present token, sets it; a later leader's reservations replace it.
--   * An entry of zeros is dropped. One that counts more than before grows the ledger's epoch: everybody asks again.
--   * No amount reaches 2^53; where one would, nothing is changed.
--
-- KEYS  ledger, lease
-- ARGV  symbol, holder, token, long, short, gross, buys, sells (micro quote, rounded against the account)
-- gives 1 where it is set, 0 where the lease is not the holder's under this token
local lease = redis.call('HMGET', KEYS[2], 'holder', 'token', 'released')
if lease[1] ~= ARGV[2] or lease[2] ~= ARGV[3] or lease[3] ~= '' then
  return 0
end
local empty = true
for index = 4, 8 do
  local amount = tonumber(ARGV[index])
  if not amount or math.abs(amount) >= 9007199254740992 then
    return redis.error_reply('FOREIGN an amount of ' .. ARGV[1] .. ' is no number below 2^53')
  end
  empty = empty and amount == 0
end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if not integer(redis.call('HGET', KEYS[1], 'epoch') or '0') then
  return redis.error_reply('FOREIGN ' .. KEYS[1] .. ' holds no integer of ours in epoch: move it away, it is not ours')
end
local name = 'e:' .. ARGV[1]
local long, short, gross = string.match(redis.call('HGET', KEYS[1], name) or '', '^%x+ %d+ %d+ (%-?%d+) (%-?%d+) (%-?%d+) ')
if tonumber(ARGV[4]) > tonumber(long or 0) or tonumber(ARGV[5]) > tonumber(short or 0)
  or tonumber(ARGV[6]) > tonumber(gross or 0) then
  redis.call('HINCRBY', KEYS[1], 'epoch', 1)
end
if empty then
  redis.call('HDEL', KEYS[1], name)
else
  redis.call('HSET', KEYS[1], name, table.concat({run, ARGV[3], '0', ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]}, ' '))
end
return 1
