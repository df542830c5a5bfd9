-- Record a failed fetch and end the lease; the token stays.
-- KEYS: state, lease. ARGV: owner, fencing number, whether WeChat may have issued a token that nobody saw (0 or 1), then
-- fields and values of the state. Returns 1, or 0 when the lease is no longer ours.
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'in_doubt', redis.call('HGET', KEYS[1], 'fencing') or 0)
end
return finish(KEYS[1], KEYS[2], 4)
