-- Forget an account and remove its copies. Its fencing number stays for a while, so that who is at it can't commit.
-- KEYS: token, state, lease, copies. ARGV: how long to remember that it went, in ms.
for _, key in ipairs(redis.call('HKEYS', KEYS[4])) do
  remove(KEYS[4], key)
end
local fencing = redis.call('HGET', KEYS[2], 'fencing')
redis.call('DEL', unpack(KEYS))
if fencing then
  redis.call('HSET', KEYS[2], 'fencing', fencing, 'resolved', fencing, 'removed', 1)
  redis.call('PEXPIRE', KEYS[2], ARGV[1])
end
