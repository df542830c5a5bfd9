-- Note that a credential may have been replaced by one that Redis lost, so that it is to be probed.
-- KEYS[1]: the credential
-- KEYS[2]: its state
-- Returns when it was fetched, in epoch seconds as a text, or nil: there is none.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return nil
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[2], 'suspected_at', string.format('%.3f', time[1] + time[2] / 1000000))
return redis.call('HGET', KEYS[2], 'fetched_at') or '0'
