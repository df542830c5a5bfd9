-- Count a fetch in the ledger of the day, right before it is made.
-- KEYS: state, lease. ARGV: owner, fencing number, forced (0 or 1), Beijing's offset in s, the fetches and the forced
-- refreshes that this day may have, and for how many s WeChat may act on the fetch if its end is never known (0: it does
-- not matter). Returns 'ok', or why the fetch must not be made.
if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('HGET', KEYS[1], 'fencing') ~= ARGV[2] then
  return 'lost'
end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local day = tostring(math.floor((time[1] + ARGV[4]) / 86400))
if redis.call('HGET', KEYS[1], 'day') ~= day then
  redis.call('HSET', KEYS[1], 'day', day, 'fetches_today', 0, 'forced_today', 0)
end
-- What is no number was written by somebody else, and counts as nothing.
local function counted(field)
  return tonumber(redis.call('HGET', KEYS[1], field) or 0) or 0
end
local fetches, forced = counted('fetches_today'), counted('forced_today')
if fetches >= tonumber(ARGV[5]) then
  return 'no fetches left'
end
if ARGV[3] == '1' then
  if forced >= tonumber(ARGV[6]) then
    return 'no forced refreshes left'
  end
  redis.call('HSET', KEYS[1], 'forced_today', forced + 1, 'forced_at', string.format('%.3f', now))
end
if tonumber(ARGV[7]) > 0 then
  local until_ = string.format('%.3f', now + ARGV[7])
  redis.call('HSET', KEYS[1], 'in_doubt_until', until_, 'in_doubt_since', string.format('%.3f', now))
end
redis.call('HSET', KEYS[1], 'fetches_today', fetches + 1)
return 'ok'
