-- Write the published copies of a credential, if it is still the one that is there: a newer one came with its own.
-- KEYS[1]: the credential
-- KEYS[2]: its state
-- KEYS[3]: its copies
-- ARGV[1]: the credential
-- ARGV[2]: digest of the list of copies
-- ARGV[3] and on: the copies
-- Returns why one of them could not be written, or ''.
--- @include "copies"
local value, digest = ARGV[1], ARGV[2]
if redis.call('GET', KEYS[1]) ~= value then
  return ''
end
local problem = write(KEYS[3], 3, redis.call('PTTL', KEYS[1]))
redis.call('HSET', KEYS[2], 'publish_digest', digest, 'publish_error', problem)
return problem
