-- Have an account fetched once more, whatever its state says.
-- KEYS: token, state. ARGV: whether a newer token may have replaced the one that we have (0 or 1); without one that
-- does not matter.
if ARGV[1] == '1' then
  if redis.call('EXISTS', KEYS[1]) == 0 then
    return
  end
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[2], 'lost_at', string.format('%.3f', time[1] + time[2] / 1000000))
end
redis.call('HSET', KEYS[2], 'suspect', redis.call('HGET', KEYS[2], 'fencing') or 0)
