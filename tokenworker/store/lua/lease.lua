-- The end of a lease under which no token was committed. ARGV begins with its owner and its fencing number.

-- End our lease and note the fields and values of the state that stand in ARGV from `first` on.
-- Returns 1, or 0 when the lease is no longer ours: then the state is somebody else's.
local function finish(state, lease, first)
  if redis.call('GET', lease) ~= ARGV[1] then
    return 0
  end
  -- A fetch before this lease that ended nobody knows how stays unknown until one succeeds.
  if (tonumber(redis.call('HGET', state, 'resolved') or 0) or 0) == ARGV[2] - 1 then
    redis.call('HSET', state, 'resolved', ARGV[2])
  end
  if #ARGV >= first then
    redis.call('HSET', state, unpack(ARGV, first))
  end
  redis.call('DEL', lease)
  return 1
end

