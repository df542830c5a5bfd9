-- Note that WeChat refused a credential, if it is the one we hand out.
-- KEYS[1]: the credential
-- KEYS[2]: its state
-- KEYS[3]: its history
-- KEYS[4]: its counts
-- ARGV[1]: the fingerprint of the one that was refused
-- Returns 1 when noted.
--- @include "history"
local rejected = ARGV[1]
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HGET', KEYS[2], 'fingerprint') ~= rejected then
  return 0
end
if redis.call('HGET', KEYS[2], 'rejected') ~= rejected then -- many find the same one dead at once
  local event = string.format('{"event":"reported","fingerprint":"%s"}', rejected)
  note(KEYS[3], KEYS[4], event, 'reports=1')
end
redis.call('HSET', KEYS[2], 'rejected', rejected)
return 1
