-- Keeps a worker's memory.
--
-- Promises: only of the lease's present holder under its present token, so that a newer leader's is never replaced.
--
-- KEYS  snapshot, lease
-- ARGV  holder, token, schema, wall time in ns, memory
-- gives 1 where it is kept, else 0
local lease = redis.call('HMGET', KEYS[2], 'holder', 'token')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'token', ARGV[2], 'schema', ARGV[3], 'saved_wall_ns', ARGV[4], 'memory', ARGV[5])
return 1
