-- End a lease under which nothing was fetched.
-- KEYS: state, lease. ARGV: owner, fencing number, then fields and values of the state.
-- Returns 1, or 0 when the lease is no longer ours.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'settled', ARGV[2], unpack(ARGV, 3))
redis.call('DEL', KEYS[2])
return 1
