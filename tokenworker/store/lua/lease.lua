-- The end of a lease under which nothing was committed. ARGV begins with its owner, its fencing number, and what to note
-- in the history: an event and counts.
--- @include "history"

-- End our lease and note the fields and values of the state that stand in ARGV from `first` on.
-- Returns 1, or 0 when the lease is no longer ours: then the state is somebody else's.
local function finish(state, lease, history, counts, first)
  local owner, fencing = ARGV[1], tonumber(ARGV[2])
  if redis.call('GET', lease) ~= owner then
    return 0
  end
  -- A fetch before this lease that ended nobody knows how stays unknown until one succeeds.
  if (tonumber(redis.call('HGET', state, 'resolved') or 0) or 0) == fencing - 1 then
    redis.call('HSET', state, 'resolved', fencing)
  end
  if #ARGV >= first then
    redis.call('HSET', state, unpack(ARGV, first))
  end
  redis.call('DEL', lease)
  note(history, counts, ARGV[3], ARGV[4])
  return 1
end

