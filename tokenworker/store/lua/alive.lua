-- Note that a worker is alive, and forget those that have not been for long.
-- KEYS[1]: the workers
-- ARGV[1]: the name of this one
-- ARGV[2]: for how many s one is remembered
local name, remembered = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZADD', KEYS[1], string.format('%.3f', now), name)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - remembered)
-- What lies ahead was written before the clock went back.
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + 1, '+inf')
