-- Record a failed fetch and end the lease; the credential stays.
-- KEYS[1]: the state
-- KEYS[2]: the lease
-- KEYS[3]: its history
-- KEYS[4]: its counts
-- ARGV[1]: owner
-- ARGV[2]: fencing number
-- ARGV[3]: the event
-- ARGV[4]: the counts
-- ARGV[5]: whether WeChat may have issued one that nobody saw: 0 or 1
-- ARGV[6] and on: fields and values of the state
-- Returns 1, or 0 when the lease is no longer ours.
--- @include "lease"
local lost = ARGV[5] == '1'
if lost then
  redis.call('HSET', KEYS[1], 'in_doubt', redis.call('HGET', KEYS[1], 'fencing') or 0)
end
return finish(KEYS[1], KEYS[2], KEYS[3], KEYS[4], 6)
