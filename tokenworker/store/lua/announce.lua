-- Note that the settings of an account changed; one that had been taken out is there again.
-- KEYS: state. ARGV: the revision of the settings.
redis.call('HDEL', KEYS[1], 'removed')
redis.call('HSET', KEYS[1], 'settings_announced', ARGV[1])
redis.call('PERSIST', KEYS[1])
