-- Note that the settings of an account changed; one that had been taken out is there again.
-- KEYS[1]: the state of its credential
-- ARGV[1]: digest of the settings
local digest = ARGV[1]
redis.call('HDEL', KEYS[1], 'removed')
redis.call('HSET', KEYS[1], 'settings_announced', digest)
redis.call('PERSIST', KEYS[1])
