-- Take the right to make one call to WeChat for one account.
-- KEYS: state, lease. ARGV: owner, length in ms, the day in Beijing's offset in s.
-- Returns {fencing number, now in ms}, or nil when somebody holds it.
local left = redis.call('PTTL', KEYS[2])
-- A lease longer than any we set means that the clock went back: it would block the account for hours.
if left >= 0 and left <= tonumber(ARGV[2]) then
  return nil
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local time = redis.call('TIME')
local day = tostring(math.floor((time[1] + ARGV[3]) / 86400))
if redis.call('HGET', KEYS[1], 'day') ~= day then
  redis.call('HSET', KEYS[1], 'day', day, 'fetches_today', 0, 'forced_today', 0)
end
redis.call('HINCRBY', KEYS[1], 'fetches_today', 1)
return { redis.call('HINCRBY', KEYS[1], 'fencing', 1), time[1] * 1000 + math.floor(time[2] / 1000) }
