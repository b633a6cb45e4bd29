-- Replaces one symbol's entry of the account's ledger and grants what the account's limits admit.
--
-- Promises:
--   * Only the lease's present holder, under its present token, and with a newer sequence, changes the entry. Who is
--     behind what the entry was written under hears the token of it.
--   * Of what is asked as much is granted as keeps, over all symbols, net long, net short and gross within their limits;
--     without the mark that the ledger was rebuilt under this server's run: nothing that opens risk.
--   * What only reduces the symbol's own position, up to its whole, is granted always, and is booked. Where that puts a
--     sum further over its limit the ledger's epoch grows.
--   * The entry never becomes less than `floor`: what may rest already, or may be sent until the answer is heard.
--   * The limits that were heeded last can be read beside the entries.
--   * No amount and no sum reaches 2^53; where one would, nothing is changed.
--
-- KEYS  ledger, lease
-- ARGV  symbol, holder, token, sequence, net limit, gross limit, position long, position short, position size,
--       buys asked, sells asked, buy floor, sell floor, floors known (1: the floors are all that may rest)
--       (amounts in micro quote, valued and rounded against the account; position size is signed)
-- gives {'granted', buys, sells, epoch} | {'fenced'} | {'stale', token} | {'overflow'}
local LIMIT = FIRST_UNEXACT
local MAX_TOKEN = 36 ^ 8 - 1 -- of an order id
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')

local lease = redis.call('HMGET', KEYS[2], 'holder', 'token', 'released')
if lease[1] ~= ARGV[2] or lease[2] ~= ARGV[3] or lease[3] ~= '' then
  return {'fenced'}
end

local amounts = {}
for index = 3, 13 do
  local amount = tonumber(ARGV[index])
  if not amount or math.abs(amount) >= LIMIT then
    return {'overflow'}
  end
  amounts[index] = amount
end
local token, sequence, net_limit, gross_limit = amounts[3], amounts[4], amounts[5], amounts[6]
local long, short, size = amounts[7], amounts[8], amounts[9]
local buys, sells, buy_floor, sell_floor = amounts[10], amounts[11], amounts[12], amounts[13]

-- An entry: run, token, sequence, long, short, gross (all as booked), buys, sells.
local ENTRY = '^%x+ (%d+) (%d+) (%-?%d+) (%-?%d+) (%d+) (%d+) (%d+)$'

local own = 'e:' .. ARGV[1]
local before
local sum_long, sum_short, sum_gross = 0, 0, 0
local fields = redis.call('HGETALL', KEYS[1])
local epoch, mark = 0, ''
for index = 1, #fields, 2 do
  local name, text = fields[index], fields[index + 1]
  if string.sub(name, 1, 2) == 'e:' then
    local token_then, sequence_then, long_then, short_then, gross_then, buys_then, sells_then = string.match(text, ENTRY)
    if not integer(token_then, 0, MAX_TOKEN) or not integer(sequence_then) or not integer(long_then, 1 - LIMIT)
      or not integer(short_then, 1 - LIMIT) or not integer(gross_then) or not integer(buys_then)
      or not integer(sells_then) then
      return redis.error_reply('FOREIGN ' .. KEYS[1] .. ' ' .. name .. ' is no entry of a ledger: move it away, it is not ours')
    end
    if name == own then
      before = {token = tonumber(token_then), sequence = tonumber(sequence_then), long = tonumber(long_then),
        short = tonumber(short_then), gross = tonumber(gross_then), buys = tonumber(buys_then),
        sells = tonumber(sells_then)}
    else
      sum_long, sum_short, sum_gross = sum_long + long_then, sum_short + short_then, sum_gross + gross_then
      if sum_gross >= LIMIT or sum_long >= LIMIT or sum_long <= -LIMIT or sum_short >= LIMIT or sum_short <= -LIMIT then
        return {'overflow'}
      end
    end
  elseif name == 'epoch' then
    epoch = integer(text)
  elseif name == 'rebuilt' then
    mark = text
  end
end
if not epoch then
  return redis.error_reply('FOREIGN ' .. KEYS[1] .. ' holds no integer of ours in epoch: move it away, it is not ours')
end
if before and (token < before.token or (token == before.token and sequence <= before.sequence)) then
  return {'stale', string.format('%.0f', before.token)}
end
if ARGV[14] ~= '1' and before then
  buy_floor = math.max(buy_floor, math.min(before.buys, buys))
  sell_floor = math.max(sell_floor, math.min(before.sells, sells))
end

local buy_room, sell_room = 0, 0
if string.sub(mark, 1, #run + 1) == run .. ':' then
  buy_room = math.max(0, math.min(net_limit - sum_long - long, gross_limit - sum_gross - size))
  sell_room = math.max(0, math.min(net_limit - sum_short - short, gross_limit - sum_gross + size))
end
local buy_granted = math.min(buys, math.max(buy_room, -size))
local sell_granted = math.min(sells, math.max(sell_room, size))
local buy_booked, sell_booked = math.max(buy_granted, buy_floor), math.max(sell_granted, sell_floor)

local entry_long, entry_short = long + buy_booked, short + sell_booked
local entry_gross = math.max(math.abs(size + buy_booked), math.abs(size - sell_booked))
for _, pair in ipairs({{sum_long, entry_long}, {sum_short, entry_short}, {sum_gross, entry_gross}}) do
  if math.abs(pair[2]) >= LIMIT or math.abs(pair[1] + pair[2]) >= LIMIT then
    return {'overflow'}
  end
end

local function worse(others, now, then_, limit)
  return others + now > limit and now > then_
end
local was = before or {long = 0, short = 0, gross = 0}
if worse(sum_long, entry_long, was.long, net_limit) or worse(sum_short, entry_short, was.short, net_limit)
  or worse(sum_gross, entry_gross, was.gross, gross_limit) then
  epoch = epoch + 1
  redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch))
end
redis.call('HSET', KEYS[1], own, string.format('%s %.0f %.0f %.0f %.0f %.0f %.0f %.0f', run, token, sequence, entry_long,
  entry_short, entry_gross, buy_booked, sell_booked), 'net_limit', ARGV[5], 'gross_limit', ARGV[6])
return {'granted', string.format('%.0f', buy_granted), string.format('%.0f', sell_granted), string.format('%.0f', epoch)}
