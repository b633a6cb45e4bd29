-- One worker tells what it has sent and is granted what it may send next: orders of the account, weight of the egress.
--
-- Promises:
--   * What was granted counts as sent until its worker says otherwise. So what all workers of a scope have sent under
--     grants in any window, however they burst, is within the window's cap; who dies with a grant has used it.
--   * What is told without a grant (cancels, reducing orders, readings of the truth) counts, and is never refused.
--   * Where the exchange's own figure of its running window is higher than ours, others use it too, and it counts.
--   * Told twice, or late, nothing counts twice: sequences and totals grow.
--   * Nobody is starved: where somebody gets less than it uses, the others get no more than an equal part; the last
--     tenth of a window is for those who have had less than that; who sends nothing holds little.
--   * A back-off that anybody tells counts for all until it has passed, and is announced where it is news.
--   * Time never goes back here, whatever the server's clock does. Where nobody spoke for long (nothing is remembered,
--     or the clock jumped ahead) nothing is granted until everybody has had time to tell what the exchange reports:
--     until then, one window's cap may have been sent in vain for the count.
--   * Memory: a ring of seconds, and a line for each worker that spoke within the longest window.
--
-- KEYS  for each scope (orders, weight): window (hash), speakers, short (sorted sets); then makers (hash)
-- ARGV  holder, rate of the run's clock, ms that a grant lives, ms after which a silent holder is forgotten,
--       exchange's time in ms, fixed weight (0: it leaves), line of the account, its weight,
--       for each scope: sequence (0: leave it alone), total sent, total acknowledged, wanted, held, blocked ms, channel,
--       least that anybody may hold, count of windows, and for each window: seconds, cap, reported (-1: none)
-- gives {status of orders, granted, blocked ms left, status of weight, granted, blocked ms left}
--       (status: 'told', 'stale' or 'none')
local SLOTS = 128
local SILENCE_MS = 10000
local SHORT_MS = 10000
local TENTH, PACE = 0.1, 0.8

local holder, rate, lives_ms, forget_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local exchange_ms, fixed_weight, account, account_weight = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local time = redis.call('TIME')
local server_ms = math.floor((tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)) * rate)
local next_argument = 9

local function argument()
  next_argument = next_argument + 1
  return ARGV[next_argument - 1]
end

local function foreign(key)
  error('FOREIGN ' .. key .. ' holds no budget: it is not ours', 0)
end

-- The numbers of a line, or nothing where there is no line.
local function numbers(key, text, count)
  if not text then return nil end
  local found = {}
  for word in string.gmatch(text, '%S+') do
    found[#found + 1] = tonumber(word)
  end
  if #found ~= count then foreign(key) end
  return found
end

-- A scope's time: the server's, moved ahead by as much as it has ever gone back.
local function now_of(key)
  local clock = numbers(key, redis.call('HGET', key, 'clock'), 3)
  if not clock and redis.call('EXISTS', key) == 1 then foreign(key) end
  local last, shift, since = clock and clock[1], clock and clock[2] or 0, clock and clock[3]
  local now = server_ms + shift
  if last and now < last then
    now, shift = last, shift + last - now
  end
  if not last or now - last > SILENCE_MS then since = now end
  redis.call('HSET', key, 'clock', string.format('%.0f %.0f %.0f', now, shift, since))
  return now, since
end

-- The ring: in each slot a second, what was sent in it, and what is granted until it.
local function read_ring(key)
  local names, ring = {}, {}
  for slot = 0, SLOTS - 1 do names[slot + 1] = 'b' .. slot end
  for index, text in ipairs(redis.call('HMGET', key, unpack(names))) do
    ring[index - 1] = numbers(key, text, 3)
  end
  return ring
end

local function add(key, ring, second, sent, granted)
  local slot = second % SLOTS
  local line = ring[slot]
  if not line or line[1] ~= second then
    line = {second, 0, 0}
    ring[slot] = line
  end
  line[2], line[3] = line[2] + sent, math.max(0, line[3] + granted)
  redis.call('HSET', key, 'b' .. slot, string.format('%.0f %.0f %.0f', second, line[2], line[3]))
end

-- What counts in a window of so many seconds. One more is for the way to the exchange.
local function used_in(ring, now, seconds, reported)
  local present = math.floor(now / 1000)
  local ours, outstanding = 0, 0
  for slot = 0, SLOTS - 1 do
    local line = ring[slot]
    if line and line[1] >= present - seconds - 1 then
      ours = ours + line[2] + line[3]
      if line[1] >= present then outstanding = outstanding + line[3] end
    end
  end
  return math.max(ours, reported + outstanding)
end

-- The exchange's own figure of its present window, with what we have sent since: [window, figure, until].
local function heed_report(key, now, seconds, reported, sent)
  local length, field = seconds * 1000, 'r' .. seconds
  local known = numbers(key, redis.call('HGET', key, field), 3)
  if known and now >= known[3] then known = nil end
  if known then known[2] = known[2] + sent end
  if reported >= 0 then
    local window = math.floor(exchange_ms / length)
    if not known or window > known[1] then
      known = {window, reported, now + length - exchange_ms % length}
    elseif window == known[1] then
      known[2] = math.max(known[2], reported)
    end
  end
  if not known then return 0 end
  redis.call('HSET', key, field, string.format('%.0f %.0f %.0f', known[1], known[2], known[3]))
  return known[2]
end

local function serve(key, speakers_key, short_key)
  local sequence, total, acknowledged = tonumber(argument()), tonumber(argument()), tonumber(argument())
  local wanted, held, blocked_ms, channel = tonumber(argument()), tonumber(argument()), tonumber(argument()), argument()
  local least, windows = tonumber(argument()), {}
  for index = 1, tonumber(argument()) do
    windows[index] = {seconds = tonumber(argument()), cap = tonumber(argument()), reported = tonumber(argument())}
  end
  if sequence == 0 then return 'none', 0, 0, 0 end
  local now, since = now_of(key)
  local own_field = 'h:' .. holder
  local longest = windows[#windows].seconds

  -- Who has been silent for a whole window is forgotten; what it was granted stays where it was booked.
  for _, silent in ipairs(redis.call('ZRANGEBYSCORE', speakers_key, '-inf', now - longest * 2000)) do
    redis.call('HDEL', key, 'h:' .. silent)
  end
  redis.call('ZREMRANGEBYSCORE', speakers_key, '-inf', now - longest * 2000)
  redis.call('ZREMRANGEBYSCORE', short_key, '-inf', now - SHORT_MS)

  -- The back-off.
  local blocked_until = tonumber(redis.call('HGET', key, 'blocked') or '0')
  if not blocked_until then foreign(key) end
  if blocked_ms > 0 and now + blocked_ms > blocked_until then
    local news = now + blocked_ms > math.max(now, blocked_until) + 1000 or blocked_until <= now
    blocked_until = now + blocked_ms
    redis.call('HSET', key, 'blocked', string.format('%.0f', blocked_until))
    if news then redis.call('PUBLISH', channel, string.format('%.0f', blocked_ms)) end
  end
  local left_ms = math.max(0, blocked_until - now)

  -- What was sent. [sequence, total told, granted, second until which, own use in each window (decaying), at]
  local own = numbers(key, redis.call('HGET', key, own_field), 5 + #windows)
  if own and sequence <= own[1] then return 'stale', 0, left_ms, 0 end
  local ring = read_ring(key)
  local sent = math.max(0, total - (own and own[2] or acknowledged))
  if own and own[3] > 0 and ring[own[4] % SLOTS] and ring[own[4] % SLOTS][1] == own[4] then
    add(key, ring, own[4], 0, -own[3])
  end
  if sent > 0 then add(key, ring, math.floor(now / 1000), sent, 0) end

  -- What may be sent.
  -- Who wants nothing is remembered, but takes no part.
  redis.call('ZADD', speakers_key, string.format('%.0f', wanted > 0 and now or now - forget_ms), holder)
  local active = math.max(1, redis.call('ZCOUNT', speakers_key, string.format('(%.0f', now - forget_ms), '+inf'))
  local short = redis.call('ZCARD', short_key)
  if redis.call('ZSCORE', short_key, holder) then short = short - 1 end
  local granted, would_use, room, line = wanted, wanted, math.huge, ''
  local pace = math.huge
  for index = #windows, 1, -1 do
    local window, use = windows[index], sent
    if own then use = use + own[4 + index] * math.exp(-math.max(0, now - own[#own]) / (window.seconds * 1000)) end
    line = string.format(' %.3f', use) .. line
    local used = used_in(ring, now, window.seconds, heed_report(key, now, window.seconds, window.reported, sent))
    local cap = math.min(window.cap, pace * window.seconds)
    local free = cap - used
    pace = PACE * (window.cap + math.max(0, window.cap - used)) / window.seconds
    room = math.min(room, free)
    if index == 1 then would_use = math.min(wanted, math.max(least, math.ceil(cap / (4 * active)), math.ceil(2 * use))) end
    granted = math.min(granted, free)
    if short > 0 then granted = math.min(granted, cap / (short + 1) - use) end
    if use + granted > cap / active then
      granted = math.max(math.min(granted, cap / active - use), math.min(granted, free - TENTH * cap))
    end
  end
  granted = math.max(0, math.floor(math.min(granted, would_use)))
  if left_ms > 0 or now - since < lives_ms then
    granted = 0
  elseif granted < would_use then
    redis.call('ZADD', short_key, string.format('%.0f', now), holder)
  end
  return 'told', granted, left_ms, room, function(final)
    -- Until it hears the answer the worker may use what it has.
    local booked, until_second = math.max(final, math.min(held, wanted)), math.floor((now + lives_ms) / 1000)
    if booked > 0 then add(key, ring, until_second, 0, booked) end
    redis.call('HSET', key, own_field, string.format('%.0f %.0f %.0f %.0f%s %.0f', sequence, total, booked, until_second, line, now))
    for _, name in ipairs({key, speakers_key, short_key}) do
      redis.call('PEXPIRE', name, math.ceil(longest * 3000 / rate))
    end
  end
end

local orders_status, orders, orders_blocked_ms, _, book_orders = serve(KEYS[1], KEYS[2], KEYS[3])
local weight_status, weight, weight_blocked_ms, weight_room, book_weight = serve(KEYS[4], KEYS[5], KEYS[6])
if book_weight then
  -- Each order will want a cancel: where the weight is used up nobody quotes.
  orders = math.min(orders, math.max(0, weight_room - weight))
  book_weight(weight)
end
if book_orders then book_orders(orders) end
if fixed_weight > 0 then
  redis.call('HSET', KEYS[7], holder, string.format('%.0f %.0f', fixed_weight, server_ms))
  if account_weight > 0 then
    redis.call('HSET', KEYS[7], account, string.format('%.0f %.0f', account_weight, server_ms))
  end
end
return {orders_status, string.format('%.0f', orders), string.format('%.0f', orders_blocked_ms),
  weight_status, string.format('%.0f', weight), string.format('%.0f', weight_blocked_ms)}
