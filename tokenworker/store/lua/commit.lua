-- Make a fetched token the account's token, in one step with its state and the end of the lease.
-- KEYS: token, state, lease, copies.
-- ARGV: owner, fencing number, token, expires_at in ms, the copies, then fields and values of the state.
-- Returns 'committed'; 'in_doubt' when it is committed but another fetch overlapped with it; 'refused' when
-- somebody else took a lease since, for then nobody knows which token WeChat issued last. And, second, why a copy could
-- not be written, or '': it must not keep the token itself from being written.
local fencing = tonumber(ARGV[2])
local state = redis.call('HMGET', KEYS[2], 'fencing', 'in_doubt', 'committed', 'removed', 'owner')
local holder = redis.call('GET', KEYS[3])
if state[3] == ARGV[1] then
  return { 'committed', '' } -- the answer to the first try got lost
end
if state[4] or not state[1] then
  return { 'refused', '' } -- the account was taken out, or Redis emptied: whoever fetches next comes after us
end
local time = redis.call('TIME')
-- A lease that ended while nobody else took one is still good: no other fetch can have come after ours.
if (holder and holder ~= ARGV[1]) or state[5] ~= ARGV[1] then
  local now = string.format('%.3f', time[1] + time[2] / 1000000)
  redis.call('HSET', KEYS[2], 'in_doubt', state[1] or 0, 'in_doubt_since', now)
  return { 'refused', '' }
end
local ttl = tonumber(ARGV[4]) - (time[1] * 1000 + math.floor(time[2] / 1000))
local problem = ''
if ttl > 0 then
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ttl)
  problem = write(KEYS[4], 5, ttl)
end
redis.call('HDEL', KEYS[2], 'error', 'errcode', 'hint', 'failed_at', 'retry_at', 'limited', 'probe_error', 'probed_dead', 'reissued_dead')
redis.call('HSET', KEYS[2], 'failures', 0, 'resolved', fencing, 'publish_error', problem, 'committed', ARGV[1])
redis.call('HSET', KEYS[2], unpack(ARGV, 6 + 3 * ARGV[5]))
-- stable_token may have handed out the reported token once more: then the report still waits to be tested.
if redis.call('HGET', KEYS[2], 'rejected') ~= redis.call('HGET', KEYS[2], 'fingerprint') then
  redis.call('HDEL', KEYS[2], 'rejected')
end
redis.call('DEL', KEYS[3])
if (tonumber(state[2] or -1) or -1) >= fencing then
  return { 'in_doubt', problem }
end
redis.call('HDEL', KEYS[2], 'in_doubt', 'in_doubt_since')
return { 'committed', problem }
