-- Do once, under a key of its own, what the other scripts do, to find out whether this server and this user let us.
-- KEYS: a key for the trial, then every key whose rights are in question: naming it here is what Redis checks.
local key = KEYS[1]
redis.call('TIME')
redis.call('SET', key, '1', 'PX', 1000)
redis.call('GET', key)
redis.call('EXISTS', key)
redis.call('PTTL', key)
redis.call('PEXPIRE', key, 1000)
redis.call('DEL', key)
redis.call('HSET', key, 'field', 1)
redis.call('HINCRBY', key, 'field', 1)
redis.call('HGET', key, 'field')
redis.call('HMGET', key, 'field')
redis.call('HGETALL', key)
redis.call('HKEYS', key)
redis.call('HDEL', key, 'field')
redis.call('ZADD', key, 1, 'member')
redis.call('ZCARD', key)
redis.call('ZRANGEBYSCORE', key, '-inf', '+inf', 'LIMIT', 0, 1)
redis.call('ZREMRANGEBYSCORE', key, '-inf', '+inf')
redis.call('DEL', key)
return 'ok'
