-- Claim the credentials that are due: they are due again after a while, since their refresh is on the way.
-- KEYS[1]: the schedule
-- ARGV[1]: the most to claim
-- ARGV[2]: how long they are not due, in s
-- Returns their ids.
local most, grace = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, most)
for _, id in ipairs(ids) do
  redis.call('ZADD', KEYS[1], now + grace, id)
end
return ids
