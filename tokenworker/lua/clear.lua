-- Forget an account and remove its copies.
-- KEYS: token, state, lease, copies.
for _, key in ipairs(redis.call('HKEYS', KEYS[4])) do
  remove(KEYS[4], key)
end
redis.call('DEL', unpack(KEYS))
