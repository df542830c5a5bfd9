-- Record a failed fetch and end the lease; the token stays.
-- KEYS: state, lease. ARGV: owner, fencing number, whether WeChat may have issued a token that nobody saw (0 or 1), then
-- fields and values of the state. Returns 1, or 0 when the lease is no longer ours.
local ours = redis.call('GET', KEYS[2]) == ARGV[1]
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'suspect', redis.call('HGET', KEYS[1], 'fencing') or 0)
end
if not ours then
  return 0
end
-- A fetch before this one that ended nobody knows how stays unknown until one succeeds.
if (tonumber(redis.call('HGET', KEYS[1], 'settled') or 0) or 0) == ARGV[2] - 1 then
  redis.call('HSET', KEYS[1], 'settled', ARGV[2])
end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('DEL', KEYS[2])
return 1
