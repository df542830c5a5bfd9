-- Remove a credential that was found dead, with its copies, and end the lease; whoever finds it dead is right.
-- KEYS[1]: the credential
-- KEYS[2]: its state
-- KEYS[3]: its lease
-- KEYS[4]: its copies
-- ARGV[1]: owner
-- ARGV[2]: fencing number
-- ARGV[3]: the credential
-- ARGV[4] and on: fields and values of the state
-- Returns 1, or 0 when the lease is no longer ours.
--- @include "copies"
--- @include "lease"
local value = ARGV[3]
if redis.call('GET', KEYS[1]) == value then
  redis.call('DEL', KEYS[1])
  for _, key in ipairs(redis.call('HKEYS', KEYS[4])) do
    remove(KEYS[4], key)
  end
end
return finish(KEYS[2], KEYS[3], 4)
