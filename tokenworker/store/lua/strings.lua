-- Find out which keys hold no text.
-- KEYS: credentials and their published copies
-- Returns the places of those that are gone, empty, or of another type, from 1 on.
local lacking = {}
for place, key in ipairs(KEYS) do
  local length = redis.pcall('STRLEN', key)
  if type(length) ~= 'number' or length == 0 then
    lacking[#lacking + 1] = place
  end
end
return lacking
