-- Look at one account: the token with its remaining life, the lease, the state, all at one moment.
-- KEYS: token, state, lease. Returns {now in ms, token or false, its PTTL, the lease's PTTL, state}.
local time = redis.call('TIME')
local token = redis.pcall('GET', KEYS[1])
if type(token) == 'table' then
  token = false -- not a string: somebody else wrote here, and the next commit mends it
end
return {
  time[1] * 1000 + math.floor(time[2] / 1000),
  token,
  redis.call('PTTL', KEYS[1]),
  redis.call('PTTL', KEYS[3]),
  redis.call('HGETALL', KEYS[2]),
}
