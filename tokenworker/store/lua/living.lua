-- Find the workers that were alive of late.
-- KEYS[1]: the workers
-- ARGV[1]: for how many s one is remembered
-- Returns names, each with the seconds since its last sign of life, as a text.
local remembered = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local found = redis.call('ZRANGEBYSCORE', KEYS[1], now - remembered, now + 1, 'WITHSCORES')
for at = 2, #found, 2 do
  found[at] = string.format('%.3f', math.max(0, now - found[at]))
end
return found
