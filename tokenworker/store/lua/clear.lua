-- Forget a credential and remove its copies. Its fencing number stays for a while, so that who is at it can't commit.
-- KEYS[1]: the credential
-- KEYS[2]: its state
-- KEYS[3]: its lease
-- KEYS[4]: its copies
-- KEYS[5]: its history
-- KEYS[6]: its counts
-- ARGV[1]: how long to remember that it went, in ms
--- @include "copies"
local length = ARGV[1]
for _, key in ipairs(redis.call('HKEYS', KEYS[4])) do
  remove(KEYS[4], key)
end
local fencing = redis.call('HGET', KEYS[2], 'fencing')
redis.call('DEL', unpack(KEYS))
if fencing then
  redis.call('HSET', KEYS[2], 'fencing', fencing, 'resolved', fencing, 'removed', 1)
  redis.call('PEXPIRE', KEYS[2], length)
end
