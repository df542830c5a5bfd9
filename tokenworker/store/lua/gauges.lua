-- See what there is to measure of credentials; what is a number is for the caller to say, who has the time.
-- KEYS: triples of a credential, its state and its counts
-- ARGV: the fields of the state that are wanted
-- Returns a list as JSON: the moment in epoch s, then of each credential a list of the s that it has left to live (0: there
-- is none), the texts of those fields (false: not there), and names and texts of its counts ({}: there are none).
local function left(value)
  local length, ttl = redis.pcall('STRLEN', value), redis.call('PTTL', value)
  return type(length) == 'number' and length > 0 and ttl > 0 and ttl / 1000 or 0
end
local time = redis.call('TIME')
local seen = { time[1] + time[2] / 1000000 }
for index = 1, #KEYS, 3 do
  local fields = redis.call('HMGET', KEYS[index + 1], unpack(ARGV))
  seen[#seen + 1] = { left(KEYS[index]), fields, redis.call('HGETALL', KEYS[index + 2]) }
end
return cjson.encode(seen)
