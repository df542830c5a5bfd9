-- Have an account fetched once more, whatever its state says.
-- KEYS: state. ARGV: whether a newer token may have replaced the one that we have (0 or 1).
redis.call('HSET', KEYS[1], 'suspect', redis.call('HGET', KEYS[1], 'fencing') or 0)
if ARGV[1] == '1' then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'lost_at', string.format('%.3f', time[1] + time[2] / 1000000))
end
