-- One heartbeat: renew or take a symbol's lease, and read what the account shares, in one instant.
--
-- Promises:
--   * A renewal succeeds only for the record's own holder and token, and only while it is not released. A record that
--     is gone is never made anew by a renewal.
--   * A lease is taken only where it is free: released under this server's run, or its holder's own (the same process,
--     under this run), or watched by the candidate for its ttl (`watched` names exactly what is still there).
--   * A missing record becomes a vacant one with a nonce, so that a second loss is seen as another vacancy; so does the
--     ledger's missing `rebuilt` mark. A mark of another run counts as missing.
--   * A new token is above every earlier one of the record, above `floor`, and at least the server's time in ms.
--   * Switch and ledger are read in the same instant in which the lease is renewed.
--
-- KEYS  lease, emergency, ledger
-- ARGV  holder, token (0: candidate), watched (empty: nothing long enough), floor, nonce, max_token
-- gives {'held'|'taken'|'lost'|'watch', token, fingerprint, level, epoch, reason, seeded, generation, rebuilt, ledger epoch}
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if not run then
  return redis.error_reply('FOREIGN INFO server names no run_id')
end

local function number_of(key, field, text)
  local value = tonumber(text)
  if not value then
    return nil, redis.error_reply('FOREIGN ' .. key .. ' holds no number in ' .. field .. ': it is not ours')
  end
  return value
end

-- The lease.
local lease = redis.call('HMGET', KEYS[1], 'holder', 'token', 'beat', 'released', 'run', 'vacant')
local holder, released, last_run, vacant = lease[1], lease[4], lease[5], lease[6]
local token, beat = 0, 0
local status, fingerprint = 'watch', ''
if holder then
  local refused
  token, refused = number_of(KEYS[1], 'token', lease[2])
  if refused then return refused end
  beat, refused = number_of(KEYS[1], 'beat', lease[3])
  if refused then return refused end
  fingerprint = table.concat({run, holder, lease[2], lease[3], released or ''}, '|')
elseif not vacant then
  if redis.call('EXISTS', KEYS[1]) == 1 then
    return redis.error_reply('FOREIGN ' .. KEYS[1] .. ' holds no lease: it is not ours')
  end
  vacant = ARGV[5]
  redis.call('HSET', KEYS[1], 'vacant', vacant)
end
if not holder then
  fingerprint = run .. '|vacant|' .. vacant
end

if ARGV[2] ~= '0' then
  if holder == ARGV[1] and lease[2] == ARGV[2] and released == '' then
    redis.call('HSET', KEYS[1], 'beat', string.format('%.0f', beat + 1), 'run', run)
    status = 'held'
  else
    status = 'lost'
  end
else
  local own = holder == ARGV[1] and released == '' and last_run == run
  if own or (holder and released == run) or (ARGV[3] ~= '' and ARGV[3] == fingerprint) then
    local time = redis.call('TIME')
    token = math.max(token + 1, tonumber(ARGV[4]) + 1, tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
    if token > tonumber(ARGV[6]) then
      return redis.error_reply('FOREIGN the server\'s clock, or a token under ' .. KEYS[1] .. ', is beyond every date')
    end
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'token', string.format('%.0f', token), 'beat', '0', 'released', '',
      'run', run)
    status = 'taken'
  end
end

-- The switch.
local switch = redis.call('HMGET', KEYS[2], 'level', 'epoch', 'reason', 'seeded')

-- The ledger: its generation ends with each loss of trust in it.
local ledger = redis.call('HMGET', KEYS[3], 'rebuilt', 'vacant', 'epoch')
local rebuilt = ledger[1] and string.sub(ledger[1], 1, #run + 1) == run .. ':'
local generation = ledger[1]
if not rebuilt then
  local nonce = ledger[2]
  if not nonce or string.sub(nonce, 1, #run + 1) ~= run .. ':' then
    nonce = run .. ':' .. ARGV[5]
    redis.call('HSET', KEYS[3], 'vacant', nonce)
  end
  generation = 'vacant:' .. nonce
end

return {status, string.format('%.0f', token), fingerprint, switch[1] or '', switch[2] or '', switch[3] or '',
  switch[4] or '', generation, rebuilt and 1 or 0, ledger[3] or '0'}
