-- End a lease under which nothing was fetched.
-- KEYS[1]: the state
-- KEYS[2]: the lease
-- ARGV[1]: owner
-- ARGV[2]: fencing number
-- ARGV[3] and on: fields and values of the state
-- Returns 1, or 0 when the lease is no longer ours.
--- @include "lease"
return finish(KEYS[1], KEYS[2], 3)
