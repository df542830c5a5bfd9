-- Find out whether every key holds a text.
-- KEYS: credentials and their published copies
-- Returns 1, or 0: one is gone, empty, or of another type.
for _, key in ipairs(KEYS) do
  local length = redis.pcall('STRLEN', key)
  if type(length) ~= 'number' or length == 0 then
    return 0
  end
end
return 1
