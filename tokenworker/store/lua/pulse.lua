-- Count on: whoever sees a number come again knows that Redis went back in time.
-- KEYS[1]: the pulse
-- Returns the new number.
local count = (tonumber(redis.call('GET', KEYS[1]) or 0) or 0) + 1
redis.call('SET', KEYS[1], count)
return count
