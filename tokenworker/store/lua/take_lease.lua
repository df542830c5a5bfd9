-- Take the right to make one call to WeChat for one credential, and look at it.
-- KEYS[1]: the credential
-- KEYS[2]: its state
-- KEYS[3]: its lease
-- ARGV[1]: owner
-- ARGV[2]: length in ms
-- Returns {fencing number, what `snapshot` returns, owner of the lease before, or ''}, or nil: somebody holds it, or the
-- account was taken out.
--- @include "snapshot"
local owner, length = ARGV[1], tonumber(ARGV[2])
local holder, left = redis.call('GET', KEYS[3]), redis.call('PTTL', KEYS[3])
-- A lease longer than any we set means that the clock went back: it would block the account for hours. Not by a second,
-- though: Valkey's clock runs ahead by up to a millisecond, and a lease set at that moment seems too long at the next.
if left >= 0 and left <= length + 1000 and holder ~= owner then
  return nil
end
if redis.call('HEXISTS', KEYS[2], 'removed') == 1 then
  return nil
end
local fencing = tonumber(redis.call('HGET', KEYS[2], 'fencing') or 0) or 0
-- Our own lease is there when the answer to the first try got lost.
if holder ~= owner then
  fencing = fencing + 1
  redis.call('HSET', KEYS[2], 'after', redis.call('HGET', KEYS[2], 'owner') or '')
  redis.call('SET', KEYS[3], owner, 'PX', length)
end
-- Also when it stood there already: replicas acknowledge writes only.
redis.call('HSET', KEYS[2], 'fencing', fencing, 'owner', owner)
return { fencing, snapshot(KEYS[1], KEYS[2], KEYS[3]), redis.call('HGET', KEYS[2], 'after') or '' }
