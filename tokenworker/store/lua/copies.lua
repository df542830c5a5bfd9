-- Published copies, under keys that belong to others. They come in ARGV and not in KEYS: for one key that its user
-- may not touch, Redis would refuse the whole script. `written` is a hash of their keys with the SHA-1 of each value.

-- Remove a copy, unless somebody else has written there since.
local function remove(written, key)
  local value = redis.pcall('GET', key)
  if type(value) == 'string' and redis.sha1hex(value) == redis.call('HGET', written, key) then
    redis.pcall('DEL', key)
  end
  redis.call('HDEL', written, key)
end

-- Write copies for `ttl` ms and remove those of before that are no longer among them. From ARGV[first] on stand their
-- number, then name, key and value of each; the number -1 leaves all as they are. Returns why one could not be written,
-- or ''.
local function write(written, first, ttl)
  local problem, wanted = '', {}
  if tonumber(ARGV[first]) < 0 then
    return problem
  end
  for at = first + 1, first + 3 * ARGV[first], 3 do
    local name, key, value = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local done = redis.pcall('SET', key, value, 'PX', ttl)
    if done.err then
      problem = name .. ': ' .. done.err
    else
      redis.call('HSET', written, key, redis.sha1hex(value))
    end
    wanted[key] = true
  end
  for _, key in ipairs(redis.call('HKEYS', written)) do
    if not wanted[key] then
      remove(written, key)
    end
  end
  return problem
end

