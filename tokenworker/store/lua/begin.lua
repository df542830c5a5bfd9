-- Count a fetch in the ledger, right before it is made.
-- KEYS[1]: the state
-- KEYS[2]: the lease
-- ARGV[1]: owner
-- ARGV[2]: fencing number
-- ARGV[3]: whether it is a forced refresh: 0 or 1
-- ARGV[4]: the period of the quota in s: a day, or an hour
-- ARGV[5]: the offset in s of the clock by which WeChat's days begin
-- ARGV[6]: the fetches that a period may have
-- ARGV[7]: the forced refreshes that it may have
-- ARGV[8]: for how many s WeChat may act on the fetch if its end is never known; 0: it does not matter
-- ARGV[9]: the fetches that WeChat allows in a period, 0 for any number: for who watches
-- Returns 'ok', or why the fetch must not be made.
local owner, fencing, forced = ARGV[1], ARGV[2], ARGV[3] == '1'
local length, offset = tonumber(ARGV[4]), tonumber(ARGV[5])
local budget, forced_budget, stray = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
if redis.call('GET', KEYS[2]) ~= owner or redis.call('HGET', KEYS[1], 'fencing') ~= fencing then
  return 'lost'
end
if redis.call('HGET', KEYS[1], 'begun') == owner then
  return 'ok' -- the answer to the first try got lost
end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local period = tostring(math.floor((time[1] + offset) / length))
if redis.call('HGET', KEYS[1], 'day') ~= period then
  redis.call('HSET', KEYS[1], 'day', period, 'fetches_today', 0, 'forced_today', 0)
end
-- What is no number was written by somebody else, and counts as nothing.
local function counted(field)
  return tonumber(redis.call('HGET', KEYS[1], field) or 0) or 0
end
local fetches, forces = counted('fetches_today'), counted('forced_today')
if fetches >= budget then
  return 'no fetches left'
end
if forced then
  if forces >= forced_budget then
    return 'no forced refreshes left'
  end
  redis.call('HSET', KEYS[1], 'forced_today', forces + 1, 'forced_at', string.format('%.3f', now))
end
if stray > 0 then
  local until_ = string.format('%.3f', now + stray)
  redis.call('HSET', KEYS[1], 'in_doubt_until', until_, 'in_doubt_since', string.format('%.3f', now))
end
redis.call('HSET', KEYS[1], 'fetches_today', fetches + 1, 'begun', owner, 'quota', ARGV[9], 'quota_period', ARGV[4])
return 'ok'
