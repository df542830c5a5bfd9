-- Have an account fetched once more, whatever its state says.
-- KEYS: state.
redis.call('HSET', KEYS[1], 'suspect', redis.call('HGET', KEYS[1], 'fencing') or 0)
