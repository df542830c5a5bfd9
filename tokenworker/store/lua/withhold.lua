-- Remove a credential that was found dead, with its copies, and end the lease; whoever finds it dead is right.
-- KEYS[1]: the credential
-- KEYS[2]: its state
-- KEYS[3]: its lease
-- KEYS[4]: its copies
-- KEYS[5]: its history
-- KEYS[6]: its counts
-- ARGV[1]: owner
-- ARGV[2]: fencing number
-- ARGV[3]: the event
-- ARGV[4]: the counts
-- ARGV[5]: the credential
-- ARGV[6] and on: fields and values of the state
-- Returns 1, or 0 when the lease is no longer ours.
--- @include "copies"
--- @include "lease"
local value = ARGV[5]
if redis.call('GET', KEYS[1]) == value then
  redis.call('DEL', KEYS[1])
  for _, key in ipairs(redis.call('HKEYS', KEYS[4])) do
    remove(KEYS[4], key)
  end
end
return finish(KEYS[2], KEYS[3], KEYS[5], KEYS[6], 6)
