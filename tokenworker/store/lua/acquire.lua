-- Give a call to WeChat its turn, and let it begin once that has come and there is room.
-- KEYS[1]: the turn after the last that was given, in ms
-- KEYS[2]: the calls under way, by the moment at which one counts as over
-- KEYS[3]: the calls that wait for their turn, or with it for room, by the moment from which they are given up
-- ARGV[1]: who calls
-- ARGV[2]: ms between two calls
-- ARGV[3]: the most under way at once
-- ARGV[4]: ms until a call counts as over
-- ARGV[5]: for how many ms the caller waits for a turn
-- ARGV[6]: whether the caller has a turn, which has come: 0 or 1
-- Returns {ms to wait, whether the caller has a turn: 0 or 1}; with 0 ms the call may begin. Who has waited asks again.
-- {0, -1}: somebody else waits to make the same call, and a turn would be wasted on it.
local caller, interval, most, length = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local patience, has_turn = tonumber(ARGV[5]), ARGV[6] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
-- Turns may come in a burst as large as may be under way at once; after it, one each interval. Nobody needs a turn that
-- is taken and not used: it passes, and so does that of a process that died.
if not has_turn then
  local burst = most * interval
  local next_turn = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
  -- No turn is given for later than somebody waits: the clock went back since, by a second at least.
  if next_turn < now or next_turn > now + burst + patience + 1000 then
    next_turn = now
  end
  local wait = math.max(0, next_turn - now - (burst - interval))
  if wait > patience then
    return { math.ceil(wait), 0 }
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
  redis.call('ZREMRANGEBYSCORE', KEYS[3], now + patience + 3000, '+inf')
  if redis.call('ZADD', KEYS[3], 'NX', now + wait + 1000, caller) == 0 then
    return { 0, -1 }
  end
  redis.call('SET', KEYS[1], string.format('%.3f', next_turn + interval), 'PX', math.ceil(2 * burst + patience))
  if wait > 0 then
    return { math.ceil(wait), 1 }
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
-- What ends later than any call of ours can was put there before the clock went back, by a second at least.
redis.call('ZREMRANGEBYSCORE', KEYS[2], now + length + 1000, '+inf')
if redis.call('ZCARD', KEYS[2]) >= most then
  redis.call('ZADD', KEYS[3], now + interval + 1000, caller)
  return { math.ceil(interval), 1 }
end
redis.call('ZREM', KEYS[3], caller)
redis.call('ZADD', KEYS[2], now + length, caller)
return { 0, 1 }
