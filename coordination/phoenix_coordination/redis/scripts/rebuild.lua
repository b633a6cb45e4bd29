-- Sets the mark that the ledger is complete, with the entries that were read from the exchange.
--
-- Promises: only who holds the account's lock and a lease under its present token, and only for the very vacancy that it
-- has watched; entries that a leader has reserved since stay, as they cover all that rests of it; every older one is
-- replaced by what the exchange says, or goes.
--
-- KEYS  ledger, lock, lease
-- ARGV  holder, token, generation watched, nonce, then for each symbol: symbol, long, short, gross, buys, sells
-- gives the mark, or '' where something of that does not hold any more
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local lease = redis.call('HMGET', KEYS[3], 'holder', 'token', 'released')
local vacant = redis.call('HGET', KEYS[1], 'vacant')
if redis.call('GET', KEYS[2]) ~= ARGV[1] or lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or lease[3] ~= ''
  or not vacant or 'vacant:' .. vacant ~= ARGV[3] or string.sub(vacant, 1, #run + 1) ~= run .. ':' then
  return ''
end
for index = 5, #ARGV do
  local position = (index - 5) % 6
  local amount = position == 0 and 0 or tonumber(ARGV[index])
  if not amount or math.abs(amount) >= 9007199254740992 then
    return redis.error_reply('FOREIGN an amount of the rebuilt ledger is no number below 2^53')
  end
end
local kept = {}
local fields = redis.call('HGETALL', KEYS[1])
for index = 1, #fields, 2 do
  local name = fields[index]
  if string.sub(name, 1, 2) == 'e:' then
    local written, token = string.match(fields[index + 1], '^(%x+) (%d+) ')
    if written == run and token ~= '0' then
      kept[name] = true
    else
      redis.call('HDEL', KEYS[1], name)
    end
  end
end
for index = 5, #ARGV, 6 do
  local name = 'e:' .. ARGV[index]
  if not kept[name] then
    redis.call('HSET', KEYS[1], name, table.concat({run, '0', '0', ARGV[index + 1], ARGV[index + 2], ARGV[index + 3],
      ARGV[index + 4], ARGV[index + 5]}, ' '))
  end
end
redis.call('HDEL', KEYS[1], 'vacant')
local mark = run .. ':' .. ARGV[4]
redis.call('HSET', KEYS[1], 'rebuilt', mark)
redis.call('DEL', KEYS[2])
return mark
