-- End a lease under which nothing was fetched.
-- KEYS: state, lease. ARGV: owner, fencing number, then fields and values of the state.
-- Returns 1, or 0 when the lease is no longer ours.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
-- A fetch before this lease that ended nobody knows how stays unknown until one succeeds.
if (tonumber(redis.call('HGET', KEYS[1], 'settled') or 0) or 0) == ARGV[2] - 1 then
  redis.call('HSET', KEYS[1], 'settled', ARGV[2])
end
if #ARGV > 2 then
  redis.call('HSET', KEYS[1], unpack(ARGV, 3))
end
redis.call('DEL', KEYS[2])
return 1
