-- Write the copies of the token that is there; of another one nothing, for its own were written with it.
-- KEYS: token, state, copies. ARGV: token, name of the list of copies, then the copies.
-- Returns why one of them could not be written, or ''.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return ''
end
local problem = write(KEYS[3], 3, redis.call('PTTL', KEYS[1]))
redis.call('HSET', KEYS[2], 'publish_digest', ARGV[2], 'publish_error', problem)
return problem
