-- One heartbeat: renew or take a symbol's lease, and read what the account shares, in one instant.
--
-- Promises:
--   * A renewal succeeds only for the record's own holder and token, and only while it is not released. A record that
--     is gone is never made anew by a renewal.
--   * A lease is taken only where it is free: released under this server's run, or its holder's own (the same process,
--     under this run), or watched by the candidate for its ttl (`watched` names exactly what is still there).
--   * A candidate that could not quote at once leaves a released lease to another that could and has lately said so.
--     That is a courtesy of `courtesy` ms of the server's clock; what has been watched for a ttl is taken all the same.
--   * What the resource declares is told beside the sticky switch, and is none of it.
--   * A switch that was seeded under another run of the server counts as not seeded: what came back may be older.
--   * A missing record becomes a vacant one with a nonce, so that a second loss is seen as another vacancy; so does the
--     ledger's missing `rebuilt` mark. A mark of another run counts as missing.
--   * What was doubted under one run of the server (a release, an own record, the `rebuilt` mark) stays doubted, also where
--     the run before it comes back: two servers may fail over to each other, and lose what the other took last.
--   * A new token is above every earlier one of the record, of the symbol's ledger entry and of its memory, above `floor`,
--     and at least the server's time in ms: also where the record alone was lost, and the clock went back.
--   * Switches, ledger and, with a lease that is taken, the newest memory are read in the instant in which the lease is
--     renewed or taken. Where one of them is not ours, nothing is written. Who watches hears which memory is kept.
--
-- KEYS  lease, emergency, halt, ledger, warm, snapshot
-- ARGV  holder, token (0: candidate), watched (empty: nothing long enough), floor, nonce, max_token, warm (1 or 0), courtesy,
--       symbol
-- gives {'held'|'taken'|'lost'|'watch', token, fingerprint, another warm candidate (1 or 0),
--        {level, epoch, reason, seeded} of the account, the same of the symbol,
--        {generation, rebuilt (1 or 0), epoch} of the ledger, {schema, token, saved_wall_ns} with 'watch', with 'taken'
--        {schema, token, saved_wall_ns, memory}, else {}, run, level that the account's resource declares}
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if not run then
  return redis.error_reply('FOREIGN INFO server names no run_id')
end
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local refused
local function foreign(key, what)
  refused = refused or redis.error_reply('FOREIGN ' .. key .. ' ' .. what .. ': move it away, it is not ours')
end
local function read(key, ...)
  local found = redis.pcall('HMGET', key, ...)
  if found.err then
    foreign(key, 'holds a foreign value (' .. redis.call('TYPE', key).ok .. ')')
    return {}
  end
  return found
end
local max_token = tonumber(ARGV[6])
local function integer_of(key, field, text, most)
  local value = integer(text, 0, most)
  if not value then
    foreign(key, 'holds no integer of ours in ' .. field)
  end
  return value or 0
end
local function read_switch(key)
  local found = read(key, 'level', 'epoch', 'reason', 'seeded', 'declared')
  local level, epoch = switch_of(found[1], found[2])
  if not level or not epoch or not integer(found[5] or '0', 0, 2) then
    foreign(key, 'holds no switch (' .. (not level and 'level' or not epoch and 'epoch' or 'declared') .. ')')
  end
  return found
end

-- What is there.
local lease = read(KEYS[1], 'holder', 'token', 'beat', 'released', 'run', 'vacant')
local switch, halt = read_switch(KEYS[2]), read_switch(KEYS[3])
local ledger = read(KEYS[4], 'rebuilt', 'vacant', 'epoch', 'e:' .. ARGV[9])
local ledger_epoch = integer_of(KEYS[4], 'epoch', ledger[3] or '0')
local reserved = 0
if ledger[4] then
  reserved = integer_of(KEYS[4], 'e:' .. ARGV[9], string.match(ledger[4], '^%x+ (%d+) '), max_token)
end
local others = redis.pcall('ZRANGEBYSCORE', KEYS[5], now_ms - tonumber(ARGV[8]), now_ms)
if others.err then
  foreign(KEYS[5], 'holds a foreign value (' .. redis.call('TYPE', KEYS[5]).ok .. ')')
  others = {}
end
local standby = 0
for _, other in ipairs(others) do
  if other ~= ARGV[1] then standby = 1 end
end

-- The lease: whose it is.
local holder, released, last_run, vacant = lease[1], lease[4], lease[5], lease[6]
local token, beat = 0, 0
local fingerprint
if holder then
  token, beat = integer_of(KEYS[1], 'token', lease[2], max_token), integer_of(KEYS[1], 'beat', lease[3])
  fingerprint = table.concat({run, holder, lease[2] or '', lease[3] or '', released or ''}, '|')
else
  if not vacant and not refused and redis.call('EXISTS', KEYS[1]) == 1 then
    foreign(KEYS[1], 'holds no lease')
  end
  fingerprint = run .. '|vacant|' .. (vacant or ARGV[5])
end

local status
if ARGV[2] ~= '0' then
  status = holder == ARGV[1] and lease[2] == ARGV[2] and released == '' and 'held' or 'lost'
else
  local own = holder == ARGV[1] and released == '' and last_run == run
  local given = holder and released == run and last_run == run and (ARGV[7] == '1' or standby == 0)
  status = (own or given or (ARGV[3] ~= '' and ARGV[3] == fingerprint)) and 'taken' or 'watch'
end
local memory = {}
local function read_memory(...)
  local found = read(KEYS[6], ...)
  for index = 1, select('#', ...) do
    memory[index] = found[index] or ''
  end
  -- What is no number at all is no memory, which its reader leaves out; what Lua reads as one could pass for a token.
  return tonumber(found[2]) and integer_of(KEYS[6], 'token', found[2]) or 0
end
if status == 'taken' then
  local saved = read_memory('schema', 'token', 'saved_wall_ns', 'memory')
  token = math.max(token + 1, tonumber(ARGV[4]) + 1, reserved + 1, saved + 1, now_ms)
  if token > max_token then
    refused = refused or redis.error_reply('FOREIGN the server\'s clock, or a token under '
      .. table.concat({KEYS[1], KEYS[4], KEYS[6]}, ' or ') .. ', is beyond every date')
  end
elseif status == 'watch' then -- who could not take the lease hears why all the time, not only where it tries to
  read_memory('schema', 'token', 'saved_wall_ns')
else
  read(KEYS[6], 'schema') -- nothing is led whose memory could not be kept
end
if refused then
  return refused
end

-- What changes.
if status == 'held' then
  redis.call('HSET', KEYS[1], 'beat', string.format('%.0f', beat + 1), 'run', run)
elseif status == 'taken' then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'token', string.format('%.0f', token), 'beat', '0', 'released', '',
    'run', run)
elseif not holder and not vacant then
  redis.call('HSET', KEYS[1], 'vacant', ARGV[5])
elseif holder and last_run ~= run then
  redis.call('HSET', KEYS[1], 'run', 'another')
end
if status == 'watch' and ARGV[7] == '1' then
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now_ms - tonumber(ARGV[8]))
  redis.call('ZADD', KEYS[5], now_ms, ARGV[1])
  redis.call('PEXPIRE', KEYS[5], ARGV[8])
elseif status ~= 'held' then
  redis.call('ZREM', KEYS[5], ARGV[1])
end

-- The ledger's generation ends with each loss of trust in it.
local generation = ledger[1]
local rebuilt = generation and string.sub(generation, 1, #run + 1) == run .. ':'
if not rebuilt then
  local nonce = ledger[2]
  if not nonce or string.sub(nonce, 1, #run + 1) ~= run .. ':' then
    nonce = run .. ':' .. ARGV[5]
    redis.call('HSET', KEYS[4], 'vacant', nonce)
    redis.call('HDEL', KEYS[4], 'rebuilt')
  end
  generation = 'vacant:' .. nonce
end

return {status, string.format('%.0f', token), fingerprint, standby,
  {switch[1] or '', switch[2] or '', switch[3] or '', switch[4] == run and '1' or ''},
  {halt[1] or '', halt[2] or '', halt[3] or '', halt[4] == run and '1' or ''},
  {generation, rebuilt and 1 or 0, string.format('%.0f', ledger_epoch)}, memory, run, switch[5] or '0'}
