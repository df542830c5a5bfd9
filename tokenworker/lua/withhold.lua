-- Remove a token that was found dead, with its copies, and end the lease; whoever finds it dead is right.
-- KEYS: token, state, lease, copies. ARGV: owner, fencing number, token, then fields and values of the state.
-- Returns 1, or 0 when the lease is no longer ours: then its state is somebody else's.
if redis.call('GET', KEYS[1]) == ARGV[3] then
  redis.call('DEL', KEYS[1])
  for _, key in ipairs(redis.call('HKEYS', KEYS[4])) do
    remove(KEYS[4], key)
  end
end
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
  return 0
end
if (tonumber(redis.call('HGET', KEYS[2], 'settled') or 0) or 0) == ARGV[2] - 1 then
  redis.call('HSET', KEYS[2], 'settled', ARGV[2])
end
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
redis.call('DEL', KEYS[3])
return 1
