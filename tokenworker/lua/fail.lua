-- Record a failed fetch and end the lease; a token that works stays.
-- KEYS: token, state, lease, copies. ARGV: owner, fencing number, when the lease was taken in ms, the most that the
-- token may still live from then in ms (0: as it is), then fields and values of the state.
-- Returns 1, or 0 when the lease is no longer ours.
local ours = redis.call('GET', KEYS[3]) == ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- WeChat may have issued a newer token as soon as the lease was taken; after the lease has ended, at any time.
local cut = (ours and math.min(now, ARGV[3]) or now) + ARGV[4] - now

local function shorten(key)
  local left = redis.pcall('PTTL', key)
  return type(left) == 'number' and left > cut and redis.pcall('PEXPIRE', key, cut) == 1
end

if tonumber(ARGV[4]) > 0 then
  -- The request left, no answer came: WeChat may have issued a newer token, and ours dies after the overlap.
  redis.call('HSET', KEYS[2], 'suspect', redis.call('HGET', KEYS[2], 'fencing') or 0)
  if shorten(KEYS[1]) then
    redis.call('HSET', KEYS[2], 'expires_at', string.format('%.3f', (now + cut) / 1000))
  end
  for _, key in ipairs(redis.call('HKEYS', KEYS[4])) do
    shorten(key)
  end
end
if not ours then
  return 0
end
-- A fetch before this one that ended nobody knows how stays unknown until one succeeds.
if tonumber(redis.call('HGET', KEYS[2], 'settled') or 0) == ARGV[2] - 1 then
  redis.call('HSET', KEYS[2], 'settled', ARGV[2])
end
redis.call('HSET', KEYS[2], unpack(ARGV, 5))
redis.call('DEL', KEYS[3])
return 1
