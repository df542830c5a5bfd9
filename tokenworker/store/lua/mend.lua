-- Remove what somebody else wrote under our keys: a list where we keep a hash, say, which would stop us for good.
-- KEYS: any of ours
-- ARGV: the type of each
-- Returns the names of those that went.
local gone = {}
for index, key in ipairs(KEYS) do
  local type = redis.call('TYPE', key).ok
  if type ~= 'none' and type ~= ARGV[index] then
    redis.call('DEL', key)
    gone[#gone + 1] = key
  end
end
return gone
