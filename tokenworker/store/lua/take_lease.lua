-- Take the right to make one call to WeChat for one account.
-- KEYS: state, lease. ARGV: owner, length in ms.
-- Returns {fencing number, now in ms}, or nil when somebody holds it, or the account was taken out of the settings.
local left = redis.call('PTTL', KEYS[2])
-- A lease longer than any we set means that the clock went back: it would block the account for hours. Not by a second,
-- though: Valkey's clock runs ahead by up to a millisecond, and a lease set at that moment seems too long at the next.
if left >= 0 and left <= ARGV[2] + 1000 then
  return nil
end
if redis.call('HEXISTS', KEYS[1], 'removed') == 1 then
  return nil
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local time = redis.call('TIME')
local fencing = (tonumber(redis.call('HGET', KEYS[1], 'fencing') or 0) or 0) + 1
redis.call('HSET', KEYS[1], 'fencing', fencing, 'owner', ARGV[1])
return { fencing, time[1] * 1000 + math.floor(time[2] / 1000) }
