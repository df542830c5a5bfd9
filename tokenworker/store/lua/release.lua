-- End a lease under which nothing was fetched.
-- KEYS: state, lease. ARGV: owner, fencing number, then fields and values of the state.
-- Returns 1, or 0 when the lease is no longer ours.
return finish(KEYS[1], KEYS[2], 3)
