-- See in one letter each how credentials are.
-- KEYS: pairs of a credential and its state
-- ARGV[1]: for how many s early deaths count
-- ARGV[2]: the most early deaths that are an accident
-- ARGV[3]: by how many s a moment may lie ahead before the clock must have gone back
-- Returns a text of letters: c for contested, l for live, t for live with trouble, m for missing.
local window, many, slack = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local troubles = { 'error', 'probe_error', 'publish_error' }
local function letter(value, state)
  local fields = redis.call('HMGET', state, 'early_deaths', 'early_deaths_since', 'in_doubt', unpack(troubles))
  local ago = now - (tonumber(fields[2] or 0) or 0)
  if (tonumber(fields[1] or 0) or 0) > many and ago >= -slack and ago < window then
    return 'c'
  end
  if redis.call('PTTL', value) <= 0 or type(redis.pcall('STRLEN', value)) ~= 'number' then
    return 'm'
  end
  for index = 3, 6 do
    if fields[index] and fields[index] ~= '' then
      return 't'
    end
  end
  return 'l'
end
local letters = {}
for index = 1, #KEYS, 2 do
  letters[#letters + 1] = letter(KEYS[index], KEYS[index + 1])
end
return table.concat(letters)
