#!lua
-- Asks that dead letters be tried again, each with what was made of its event, if it is open still.
-- KEYS  1 open letters   2 what is known of them   3 keys that are blocked by one   4 keys with something to try again
-- ARGV  for each letter: <place>   <key, '' where nothing keeps an order>   <edited event, '' leaves that as it is>
-- Reply how many are open, and so will be tried
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local asked = 0
for at = 1, #ARGV, 3 do
  local place, key, edit = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if redis.call('ZSCORE', KEYS[1], place) and (key == '' or redis.call('HGET', KEYS[3], key) == place) then
    if edit ~= '' then redis.call('HSET', KEYS[2], place .. ':edit', edit) end
    local member = key == '' and place or key
    -- Another score than before: who tries it at this moment, as it was, sees that it was asked for again.
    local before = tonumber(redis.call('ZSCORE', KEYS[4], member) or 0)
    redis.call('ZADD', KEYS[4], string.format('%.0f', math.max(now, before + 1)), member)
    asked = asked + 1
  end
end
return asked
