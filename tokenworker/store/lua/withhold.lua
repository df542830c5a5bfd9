-- Remove a token that was found dead, with its copies, and end the lease; whoever finds it dead is right.
-- KEYS: token, state, lease, copies. ARGV: owner, fencing number, token, then fields and values of the state.
-- Returns 1, or 0 when the lease is no longer ours.
if redis.call('GET', KEYS[1]) == ARGV[3] then
  redis.call('DEL', KEYS[1])
  for _, key in ipairs(redis.call('HKEYS', KEYS[4])) do
    remove(KEYS[4], key)
  end
end
return finish(KEYS[2], KEYS[3], 4)
