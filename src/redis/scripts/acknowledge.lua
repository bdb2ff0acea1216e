#!lua
-- Acknowledges events of a reactor's groups, and opens a letter for each that was given up; unless the worker was fenced off.
-- Run again it does nothing: what is acknowledged already counts no more, and opens no letter.
-- KEYS  1 what handlers of this partition appended here   2 the checkpoint   3 open dead letters   4 what is known of them   5… the logs
-- ARGV  1 the group   2 the worker's field in KEYS[1]   3 how many were given up   then for each {log, from 1, entry id, place, letter},
--       then for each log {how many of its events were handled, their entry ids…}
-- Reply how many were acknowledged by this, or -1 where the worker was fenced off
if redis.call('HGET', KEYS[1], ARGV[2]) ~= '1' then return -1 end
redis.call('ZCARD', KEYS[3]) -- what is written behind an acknowledgement must not fail then
redis.call('HLEN', KEYS[4])

local AT_ONCE = 1000 -- unpack ends at about 8,000
local acknowledged, at = 0, 4
for i = 1, ARGV[3] do
  if redis.call('XACK', KEYS[ARGV[at] + 4], ARGV[1], ARGV[at + 1]) == 1 then
    redis.call('ZADD', KEYS[3], ARGV[at + 2], ARGV[at + 2])
    redis.call('HSET', KEYS[4], ARGV[at + 2], ARGV[at + 3])
    acknowledged = acknowledged + 1
  end
  at = at + 4
end
for i = 5, #KEYS do
  local last = at + ARGV[at]
  for from = at + 1, last, AT_ONCE do
    acknowledged = acknowledged + redis.call('XACK', KEYS[i], ARGV[1], unpack(ARGV, from, math.min(last, from + AT_ONCE - 1)))
  end
  at = last + 1
end
if acknowledged > 0 then redis.call('HINCRBY', KEYS[2], 'seen', acknowledged) end
return acknowledged
