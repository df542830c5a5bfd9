-- Have credentials looked at by certain moments: those that are due sooner stay so.
-- KEYS[1]: the schedule
-- ARGV: moment and id of each
for at = 1, #ARGV, 2 do
  local due = redis.call('ZSCORE', KEYS[1], ARGV[at + 1])
  if not due or tonumber(due) > tonumber(ARGV[at]) then
    redis.call('ZADD', KEYS[1], ARGV[at], ARGV[at + 1])
  end
end
