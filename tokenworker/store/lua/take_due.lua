-- Take the accounts whose time has come, and look away from them for a while: their refresh is on the way.
-- KEYS: due. ARGV: the most to take, how long to look away in s. Returns their appids.
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local appids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, appid in ipairs(appids) do
  redis.call('ZADD', KEYS[1], now + ARGV[2], appid)
end
return appids
