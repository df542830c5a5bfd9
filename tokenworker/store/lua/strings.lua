-- Say whether every key holds a text. KEYS: tokens and copies. Returns 1, or 0: one is gone, or of another type.
for _, key in ipairs(KEYS) do
  local length = redis.pcall('STRLEN', key)
  if type(length) ~= 'number' or length == 0 then
    return 0
  end
end
return 1
