-- Make what was fetched the account's credential, in one step with its state and the end of the lease.
-- KEYS[1]: the credential
-- KEYS[2]: its state
-- KEYS[3]: its lease
-- KEYS[4]: its copies
-- KEYS[5]: its history
-- KEYS[6]: its counts
-- ARGV[1]: owner
-- ARGV[2]: fencing number
-- ARGV[3]: owner of the lease before, or ''
-- ARGV[4]: the credential
-- ARGV[5]: expires_at in ms
-- ARGV[6]: the event
-- ARGV[7]: the counts
-- ARGV[8] and on: the copies, as copies.lua takes them, then fields and values of the state
-- Returns a result and why a copy could not be written, or '': that must not keep the credential from being written.
-- 'committed'; 'reported' when it is, but is the one that was reported; 'suspected' when it is, but was fetched before a
-- failover; 'in_doubt' when it is, but another fetch overlapped with it; 'refused' when somebody else took a lease since, for then nobody knows which came last.
--- @include "copies"
--- @include "history"
local owner, fencing, after = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local value, expires_at = ARGV[4], tonumber(ARGV[5])
local state = redis.call('HMGET', KEYS[2], 'fencing', 'in_doubt', 'committed', 'removed', 'owner')
local holder = redis.call('GET', KEYS[3])
if state[4] or not state[1] then
  return { 'refused', '' } -- the account was taken out, or Redis emptied: whoever fetches next comes after us
end
-- WeChat may have handed out the reported credential once more: then the report still waits to be looked into.
local function is_reported()
  return redis.call('HGET', KEYS[2], 'rejected') == redis.call('HGET', KEYS[2], 'fingerprint')
end
-- What was fetched before another server took over may have been replaced by one that was lost with the former. Moments
-- are cut or rounded to a millisecond, and Valkey's clock may be ahead by one: nearer ones are the same.
local function is_suspected()
  local moments = redis.call('HMGET', KEYS[2], 'fetched_at', 'suspected_at')
  return (tonumber(moments[1] or 0) or 0) + 0.05 < (tonumber(moments[2] or 0) or 0)
end
local function result()
  return is_reported() and 'reported' or is_suspected() and 'suspected' or 'committed'
end
if state[3] == owner then -- the answer to the first try got lost, or no replica had it: give it again
  redis.call('HSET', KEYS[2], 'committed', owner) -- replicas acknowledge writes only
  local is_doubtful = state[2] or state[5] ~= owner -- or somebody took a lease since
  return { is_doubtful and 'in_doubt' or result(), '' }
end
local time = redis.call('TIME')
-- A lease that ended while nobody else took one is still good: no other fetch can have come after ours. The same holds
-- for one that Redis does not know, since it went back to the moment before it, when nobody took one since: then the
-- last one that it knows is the one before, and not another with the same number.
local is_last = state[5] == owner or (tonumber(state[1]) == fencing - 1 and (state[5] or '') == after)
if (holder and holder ~= owner) or not is_last then
  local now = string.format('%.3f', time[1] + time[2] / 1000000)
  redis.call('HSET', KEYS[2], 'in_doubt', state[1] or 0, 'in_doubt_since', now)
  note(KEYS[5], KEYS[6], ARGV[6], ARGV[7], 'refused', 'refused')
  return { 'refused', '' }
end
local ttl = expires_at - (time[1] * 1000 + math.floor(time[2] / 1000))
local problem = ''
if ttl > 0 then
  redis.call('SET', KEYS[1], value, 'PX', ttl)
  problem = write(KEYS[4], 8, ttl)
end
redis.call('HDEL', KEYS[2], 'error', 'errcode', 'hint', 'failed_at', 'retry_at', 'limited')
redis.call('HDEL', KEYS[2], 'probe_error', 'probed_dead', 'reissued_dead')
redis.call('HSET', KEYS[2], 'failures', 0, 'resolved', fencing, 'publish_error', problem, 'committed', owner)
redis.call('HSET', KEYS[2], 'fencing', fencing, 'owner', owner)
redis.call('HSET', KEYS[2], unpack(ARGV, 9 + 3 * math.max(0, ARGV[8])))
if not is_suspected() then
  redis.call('HDEL', KEYS[2], 'suspected_at')
end
if not is_reported() then
  redis.call('HDEL', KEYS[2], 'rejected')
end
redis.call('DEL', KEYS[3])
local done = 'in_doubt'
if (tonumber(state[2] or -1) or -1) < fencing then
  redis.call('HDEL', KEYS[2], 'in_doubt', 'in_doubt_since')
  done = result()
end
note(KEYS[5], KEYS[6], ARGV[6], ARGV[7], done, 'refreshed')
return { done, problem }
