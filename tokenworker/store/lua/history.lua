-- What happened to a credential, for people: its last events, and how often each happened. ARGV brings the event as a
-- JSON object, and the counts as `name=number` with blanks between.

--- How many events are kept, and for how many s.
local EVENTS, DAY = 200, 86400

-- Do a command with a key of the history; nothing that somebody else wrote there may keep a credential from being
-- written.
local function try(command, key, ...)
  local done = redis.pcall(command, key, ...)
  if type(done) == 'table' and done.err and string.find(done.err, 'WRONGTYPE', 1, true) then
    redis.pcall('DEL', key)
    done = redis.pcall(command, key, ...)
  end
  return done
end

-- Drop the last events while they are older than a day.
local function drop_old(history, now)
  for _ = 1, 3 do
    local last = redis.pcall('LINDEX', history, -1)
    local at = type(last) == 'string' and tonumber(string.match(last, '^{"at":([%d.]+)'))
    if not at or at > now - DAY then
      return
    end
    redis.pcall('RPOP', history)
  end
end

-- Note an event, '' for none, and count it; `outcome` takes the place of OUTCOME in the event, and `counted` in the
-- counts.
local function note(history, counts, event, tallies, outcome, counted)
  for name, number in string.gmatch(tallies, '(%S+)=(%S+)') do
    try('HINCRBYFLOAT', counts, (string.gsub(name, 'OUTCOME', counted or '')), number)
  end
  if event == '' then
    return
  end
  local time = redis.call('TIME')
  local now = time[1] + time[2] / 1000000
  local text = (string.gsub(string.sub(event, 2), 'OUTCOME', outcome or '', 1))
  try('LPUSH', history, string.format('{"at":%.3f,%s', now, text))
  redis.pcall('LTRIM', history, 0, EVENTS - 1)
  drop_old(history, now)
  redis.pcall('EXPIRE', history, DAY)
end

