-- Note that WeChat refused a token, if it is the one we hand out.
-- KEYS: token, state. ARGV: the token's fingerprint. Returns 1 when noted.
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HGET', KEYS[2], 'fingerprint') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[2], 'rejected', ARGV[1])
return 1
