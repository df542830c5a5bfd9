-- Record a failed fetch and end the lease; a token that works stays.
-- KEYS: token, state, lease, copies. ARGV: owner, fencing number, the most that the token may still live in ms (0: as it
-- is), then fields and values of the state. Returns 1, or 0 when the lease is no longer ours.
local cut = tonumber(ARGV[3])

local function shorten(key)
  local left = redis.pcall('PTTL', key)
  return type(left) == 'number' and left > cut and redis.pcall('PEXPIRE', key, cut) == 1
end

if cut > 0 then
  -- The request left, no answer came: WeChat may have issued a newer token, and ours dies after the overlap.
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[2], 'suspect', redis.call('HGET', KEYS[2], 'fencing') or 0)
  if shorten(KEYS[1]) then
    redis.call('HSET', KEYS[2], 'expires_at', string.format('%.3f', time[1] + time[2] / 1000000 + cut / 1000))
  end
  for _, key in ipairs(redis.call('HKEYS', KEYS[4])) do
    shorten(key)
  end
end
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[2], 'settled', ARGV[2], unpack(ARGV, 4))
redis.call('DEL', KEYS[3])
return 1
