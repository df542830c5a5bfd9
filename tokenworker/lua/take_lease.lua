-- Take the right to make one call to WeChat for one account.
-- KEYS: state, lease. ARGV: owner, length in ms.
-- Returns {fencing number, now in ms}, or nil when somebody holds it.
local left = redis.call('PTTL', KEYS[2])
-- A lease longer than any we set means that the clock went back: it would block the account for hours. Not by a second,
-- though: Valkey's clock runs ahead by up to a millisecond, and a lease set at that moment seems too long at the next.
if left >= 0 and left <= ARGV[2] + 1000 then
  return nil
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local time = redis.call('TIME')
return { redis.call('HINCRBY', KEYS[1], 'fencing', 1), time[1] * 1000 + math.floor(time[2] / 1000) }
