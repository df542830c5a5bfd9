-- Have a credential fetched once more, whatever its state says.
-- KEYS[1]: the credential
-- KEYS[2]: its state
-- ARGV[1]: whether a newer one may have replaced the one that we have: 0 or 1
-- ARGV[2]: how many s ago at most one was fetched of which we know that it came later
local replaced, but_last = ARGV[1] == '1', tonumber(ARGV[2])
if replaced then
  local time = redis.call('TIME')
  local now = time[1] + time[2] / 1000000
  local fetched_at = tonumber(redis.call('HGET', KEYS[2], 'fetched_at') or 0) or 0
  local is_later = fetched_at > now - but_last and fetched_at <= now
  if redis.call('EXISTS', KEYS[1]) == 0 or is_later then
    return
  end
  -- The first to doubt says since when: others, who go on saying so, must not put off what follows from it.
  if not redis.call('HGET', KEYS[2], 'in_doubt') then
    redis.call('HSET', KEYS[2], 'in_doubt_since', string.format('%.3f', now))
  end
end
redis.call('HSET', KEYS[2], 'in_doubt', redis.call('HGET', KEYS[2], 'fencing') or 0)
