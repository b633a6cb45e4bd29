-- One worker tells what it has sent and is granted what it may send next: orders of the account, weight of the egress.
--
-- Promises:
--   * What was granted counts as sent until its worker says otherwise. So what all workers of a scope have sent under
--     grants in any window, however they burst, is within the window's cap; who dies with a grant has used it.
--   * What is told without a grant (cancels, reducing orders, readings of the truth) counts, and is never refused.
--   * Where the exchange's own figure of its running window is higher than ours, others use it too, and it counts.
--   * Told twice, or late, nothing counts twice: sequences and totals grow. Told for the first time, however much it
--     was (by who joins after hours, or was not heard for so long), no more counts than its last minute holds.
--   * Nobody is starved: where somebody gets less than it would use, the others get no more than an equal part; the
--     last tenth of a window is for those who have had less than that; who sends nothing holds little.
--   * A long window is not used up in half of it: the fuller it is, the less a short one admits.
--   * A start is granted whole or not at all, whoever else waits, up to a cap of its own. One that has time leaves
--     quotes room, unless starts have used little of a minute: one after the other they do not use up that of all.
--     Nobody waits for its memory: what was sent before that is not known here is known to the exchange, which tells
--     it with each answer.
--   * A back-off that anybody tells counts for all until it has passed, and is announced where it is news.
--   * Time never goes back here, whatever the server's clock does. Where nobody spoke for long (nothing is remembered,
--     or the clock jumped ahead) nothing is granted until everybody has had time to tell what the exchange reports:
--     at worst, one window's cap that was sent before is not counted.
--   * Memory: the seconds of the longest window, and a line for each worker that spoke within two of them.
--
-- KEYS  for each scope (orders, or of a start what starts read; weight): window (hash), speakers, short (sorted sets);
--       then makers (hash)
-- ARGV  holder, rate of the run's clock, ms that a grant lives, ms after which a silent holder has no part,
--       exchange's time in ms, fixed weight (0: it leaves), line of its symbol, line of the account, its weight,
--       weight that a start leaves in its window unless it is within the first scope's (0: it does not wait for that),
--       for each scope: sequence (0: leave it alone), total sent, total acknowledged, sent in the longest window,
--       wanted, held, blocked ms, channel, least that anybody may hold (0: a start, all or nothing), count of windows,
--       and for each, shortest first: seconds, cap, reported (-1: none)
-- gives {status of the first scope, granted, blocked ms left, status of weight, granted, blocked ms left}
--       (status: 'told', 'stale' or 'none')
local SILENCE_MS, SHORT_MS = 10000, 10000
local TENTH, PACE = 0.1, 0.8

local holder, rate, lives_ms, part_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local exchange_ms, fixed_weight = tonumber(ARGV[5]), tonumber(ARGV[6])
local line, account, account_weight, spared = ARGV[7], ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local time = redis.call('TIME')
local server_ms = math.floor((tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)) * rate)

local function text_of(number)
  return string.format('%.0f', number)
end

-- What one scope is told, from the arguments.
local next_argument = 11
local function argument()
  next_argument = next_argument + 1
  return ARGV[next_argument - 1]
end

local function read_need()
  local need = {sequence = tonumber(argument()), total = tonumber(argument()), acknowledged = tonumber(argument()),
    recent = tonumber(argument()), wanted = tonumber(argument()), held = tonumber(argument()),
    blocked_ms = tonumber(argument()), channel = argument(), least = tonumber(argument()), windows = {}}
  for index = 1, tonumber(argument()) do
    need.windows[index] = {seconds = tonumber(argument()), cap = tonumber(argument()), reported = tonumber(argument())}
  end
  need.longest = need.windows[#need.windows].seconds
  return need
end

local function refuse(key)
  error({foreign = 'FOREIGN ' .. key .. ' holds no budget: it is not ours'})
end

local function is_finite(value)
  return type(value) == 'number' and math.abs(value) < math.huge
end

-- So many finite numbers, and behind them so many lists of such.
local function unpacked(key, text, numbers, lists)
  if not text then return nil end
  local read, list = pcall(cmsgpack.unpack, text)
  if not read or type(list) ~= 'table' or #list ~= numbers + lists then refuse(key) end
  for index, value in ipairs(list) do
    if index <= numbers then value = {value} end
    if type(value) ~= 'table' or (index > numbers and #value % 3 ~= 0) then refuse(key) end
    for _, number in ipairs(value) do
      if not is_finite(number) then refuse(key) end
    end
  end
  return list
end

-- A scope as it is remembered: [now, shift, since, blocked until, seconds, reports], and the holder's own line:
-- [sequence, total told, granted, second until which, at, its use of each window, decaying].
-- `seconds` is flat: second, sent in it, granted until it; oldest first. `reports` too: window, figure, until.
-- Its time is the server's, moved ahead by as much as that has ever gone back.
local function open(key, need)
  local found = redis.call('HMGET', key, 'window', 'h:' .. holder)
  local kept, own = unpacked(key, found[1], 4, 2), unpacked(key, found[2], 5 + #need.windows, 0)
  if not kept then
    if redis.call('EXISTS', key) == 1 then refuse(key) end
    kept = {server_ms, 0, server_ms, 0, {}, {}}
  end
  local now, shift, since = server_ms + kept[2], kept[2], kept[3]
  if now < kept[1] then
    now, shift = kept[1], shift + kept[1] - now
  end
  if now - kept[1] > SILENCE_MS then since = now end
  local seconds, oldest = {}, math.floor(now / 1000) - need.longest - 1
  for index = 1, #kept[5], 3 do
    if kept[5][index] >= oldest then
      local last = #seconds
      seconds[last + 1], seconds[last + 2], seconds[last + 3] = kept[5][index], kept[5][index + 1], kept[5][index + 2]
    end
  end
  return {key = key, now = now, shift = shift, since = since, blocked_until = kept[4], seconds = seconds,
    reports = kept[6], own = own, new_second = math.floor(now / 1000) ~= math.floor(kept[1] / 1000)}
end

local function add(scope, second, sent, granted)
  local seconds = scope.seconds
  local index = #seconds - 2
  while index > 0 and seconds[index] > second do index = index - 3 end
  if index < 1 or seconds[index] ~= second then
    index = math.max(index, -2) + 3
    for _, value in ipairs({0, 0, second}) do table.insert(seconds, index, value) end
  end
  seconds[index + 1], seconds[index + 2] = seconds[index + 1] + sent, math.max(0, seconds[index + 2] + granted)
end

-- The exchange's own figure of its present window, with what we have sent since.
local function heed_report(scope, index, window, sent)
  local length, first = window.seconds * 1000, 3 * index - 2
  local reports = scope.reports
  local number, figure, until_ms = reports[first] or 0, reports[first + 1] or 0, reports[first + 2] or 0
  local known = scope.now < until_ms
  figure = known and figure + sent or 0
  if window.reported >= 0 then
    local reported = math.floor(exchange_ms / length)
    if not known or reported > number then
      number, figure, until_ms = reported, window.reported, scope.now + length - exchange_ms % length
    elseif reported == number then
      figure = math.max(figure, window.reported)
    end
  end
  reports[first], reports[first + 1], reports[first + 2] = number, figure, until_ms
  return figure
end

-- What counts in a window. One second more is for the way to the exchange.
local function used_in(scope, window, reported)
  local present = math.floor(scope.now / 1000)
  local ours, outstanding = 0, 0
  for index = 1, #scope.seconds, 3 do
    local second, granted = scope.seconds[index], scope.seconds[index + 2]
    if second >= present - window.seconds - 1 then ours = ours + scope.seconds[index + 1] + granted end
    if second >= present then outstanding = outstanding + granted end
  end
  return math.max(ours, reported + outstanding)
end

local function heed_back_off(scope, need)
  local until_ms = scope.now + need.blocked_ms
  if need.blocked_ms > 0 and until_ms > scope.blocked_until then
    local news = scope.blocked_until <= scope.now or until_ms > scope.blocked_until + 1000
    scope.blocked_until = until_ms
    if news then redis.call('PUBLISH', need.channel, text_of(need.blocked_ms)) end
  end
  return math.max(0, scope.blocked_until - scope.now)
end

-- How many take part, and how many others got less than they would use. Who wants nothing is remembered, no more.
local function count_speakers(scope, need, speakers_key, short_key)
  local now, forgotten = scope.now, scope.now - need.longest * 2000
  if scope.new_second then
    for _, silent in ipairs(redis.call('ZRANGEBYSCORE', speakers_key, '-inf', forgotten)) do
      redis.call('HDEL', scope.key, 'h:' .. silent)
    end
    redis.call('ZREMRANGEBYSCORE', speakers_key, '-inf', forgotten)
    redis.call('ZREMRANGEBYSCORE', short_key, '-inf', now - SHORT_MS)
    for _, key in ipairs({speakers_key, short_key}) do
      redis.call('PEXPIRE', key, math.ceil(need.longest * 3000 / rate))
    end
  end
  redis.call('ZADD', speakers_key, text_of(need.wanted > 0 and now or now - part_ms), holder)
  local active = redis.call('ZCOUNT', speakers_key, '(' .. text_of(now - part_ms), '+inf')
  local short = redis.call('ZCOUNT', short_key, '(' .. text_of(now - SHORT_MS), '+inf')
  local own = redis.call('ZSCORE', short_key, holder)
  if own and tonumber(own) > now - SHORT_MS then short = short - 1 end
  return math.max(1, active), short
end

-- What may be granted, what would be used, and what is left in the fullest window.
local function divide(scope, need, sent, active, short, use)
  local granted, would_use, room, pace = need.wanted, need.wanted, math.huge, math.huge
  for index = #need.windows, 1, -1 do
    local window = need.windows[index]
    local used = used_in(scope, window, heed_report(scope, index, window, sent))
    local cap = math.min(window.cap, pace * window.seconds)
    local free = cap - used
    pace = PACE * (window.cap + math.max(0, window.cap - used)) / window.seconds
    room = math.min(room, free)
    if index == 1 then
      would_use = math.min(need.wanted, math.max(need.least, math.ceil(cap / (4 * active)), math.ceil(2 * use[1])))
    end
    granted = math.min(granted, free)
    if short > 0 then granted = math.min(granted, cap / (short + 1) - use[index]) end
    if use[index] + granted > cap / active then
      granted = math.max(math.min(granted, cap / active - use[index]), math.min(granted, free - TENTH * cap))
    end
  end
  return math.max(0, math.floor(math.min(granted, would_use))), would_use, room
end

-- Gives status, granted, blocked ms left, room, and what books a grant, which may have become less.
local function serve(key, speakers_key, short_key)
  local need = read_need()
  if need.sequence == 0 then return 'none', 0, 0, 0 end
  local scope = open(key, need)
  local now, own, present = scope.now, scope.own, math.floor(scope.now / 1000)
  local blocked_ms = heed_back_off(scope, need)
  if own and need.sequence <= own[1] then return 'stale', 0, blocked_ms, 0 end

  local sent = math.max(0, math.min(need.recent, need.total - (own and own[2] or need.acknowledged)))
  local use = {}
  for index, window in ipairs(need.windows) do
    use[index] = sent + (own and own[5 + index] * math.exp(-math.max(0, now - own[5]) / (window.seconds * 1000)) or 0)
  end
  if own and own[3] > 0 and own[4] >= present - need.longest - 1 then add(scope, own[4], 0, -own[3]) end
  if sent > 0 then add(scope, present, sent, 0) end

  local active, short = count_speakers(scope, need, speakers_key, short_key)
  local granted, would_use, room = divide(scope, need, sent, active, short, use)
  local is_start = need.least == 0
  if is_start then granted = room >= need.wanted and need.wanted or 0 end
  if blocked_ms > 0 or (now - scope.since < lives_ms and not is_start) then
    granted = 0
  elseif granted < would_use and not is_start then
    redis.call('ZADD', short_key, text_of(now), holder)
  end
  return 'told', granted, blocked_ms, room, function(final)
    -- Until it hears the answer the worker may use what it has.
    local booked, until_second = math.max(final, math.min(need.held, need.wanted)), math.floor((now + lives_ms) / 1000)
    if booked > 0 then add(scope, until_second, 0, booked) end
    redis.call('HSET', key,
      'window', cmsgpack.pack({now, scope.shift, scope.since, scope.blocked_until, scope.seconds, scope.reports}),
      'h:' .. holder, cmsgpack.pack({need.sequence, need.total, booked, until_second, now, unpack(use)}))
    redis.call('PEXPIRE', key, math.ceil(need.longest * 3000 / rate))
  end, is_start
end

local function answer()
  local orders_status, orders, orders_blocked_ms, _, book_orders = serve(KEYS[1], KEYS[2], KEYS[3])
  local weight_status, weight, weight_blocked_ms, weight_room, book_weight, is_start = serve(KEYS[4], KEYS[5], KEYS[6])
  if is_start then
    if orders == 0 and weight_room - weight < spared then weight = 0 end
    orders = weight
    book_weight(weight)
  elseif book_weight then
    -- Each order will want a cancel: where the weight is used up nobody quotes.
    orders = math.min(orders, math.max(0, math.floor(weight_room - weight)))
    book_weight(weight)
  end
  if book_orders then book_orders(orders) end
  if fixed_weight > 0 then
    redis.call('HSET', KEYS[7], holder, text_of(fixed_weight) .. ' ' .. text_of(server_ms) .. ' ' .. line)
    if account_weight > 0 then
      redis.call('HSET', KEYS[7], account, text_of(account_weight) .. ' ' .. text_of(server_ms))
    end
  end
  return {orders_status, text_of(orders), text_of(orders_blocked_ms),
    weight_status, text_of(weight), text_of(weight_blocked_ms)}
end

local done, result = pcall(answer)
if done then return result end
if type(result) == 'table' and result.foreign then return redis.error_reply(result.foreign) end
error(result)
