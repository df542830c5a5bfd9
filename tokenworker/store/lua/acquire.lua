-- Let one more call to WeChat begin, or say how many ms to wait.
-- KEYS[1]: when the next call may begin, in ms
-- KEYS[2]: the calls under way, by the moment at which one counts as over
-- ARGV[1]: who calls
-- ARGV[2]: ms between two calls
-- ARGV[3]: the most under way at once
-- ARGV[4]: ms until a call counts as over
local caller, interval, most, length = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
-- What ends later than any call of ours can was put there before the clock went back, by a second at least.
redis.call('ZREMRANGEBYSCORE', KEYS[2], now + length + 1000, '+inf')
if redis.call('ZCARD', KEYS[2]) >= most then
  return math.ceil(interval)
end
-- Calls may come in a burst as large as may be under way at once; after it, one each interval.
local free_at = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
if free_at < now or free_at > now + most * interval * 2 then
  free_at = now
end
local wait = free_at - now - (most - 1) * interval
if wait > 0 then
  return math.ceil(wait)
end
redis.call('SET', KEYS[1], string.format('%.3f', free_at + interval), 'PX', math.ceil(most * interval * 2))
redis.call('ZADD', KEYS[2], now + length, caller)
return 0
