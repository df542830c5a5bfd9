-- Everything that is known of one credential, at one moment.

-- Return {now in ms, the credential or false, its PTTL, the lease's PTTL, fields and values of the state}.
local function snapshot(value_key, state, lease)
  local time = redis.call('TIME')
  local value = redis.pcall('GET', value_key)
  if type(value) == 'table' then
    value = false -- not a string: somebody else wrote here, and the next commit mends it
  end
  return {
    time[1] * 1000 + math.floor(time[2] / 1000),
    value,
    redis.call('PTTL', value_key),
    redis.call('PTTL', lease),
    redis.call('HGETALL', state),
  }
end

