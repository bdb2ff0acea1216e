#!lua
-- Acknowledges events of a reactor's groups, and opens a letter for each that was given up; unless the worker was fenced off.
-- Run again it does nothing: what is acknowledged already counts no more, and opens no letter.
-- KEYS  1 what handlers of this partition appended here   2 the checkpoint   3 open dead letters   4 what is known of them   5… the logs
-- ARGV  1 the group   2 the worker's field in KEYS[1]   3 how many events were handled   then for each {log, from 1, entry id},
--       then for each that was given up {log, entry id, place, letter}
-- Reply how many were acknowledged by this, or -1 where the worker was fenced off
if redis.call('HGET', KEYS[1], ARGV[2]) ~= '1' then return -1 end
redis.call('ZCARD', KEYS[3]) -- what is written behind an acknowledgement must not fail then
redis.call('HLEN', KEYS[4])

local AT_ONCE = 1000 -- unpack ends at about 8,000
local last_handled = 3 + 2 * ARGV[3]
local acknowledged = 0
local ids = {}
for i = 4, last_handled, 2 do
  ids[#ids + 1] = ARGV[i + 1]
  if ARGV[i + 2] ~= ARGV[i] or #ids == AT_ONCE or i + 2 > last_handled then
    acknowledged = acknowledged + redis.call('XACK', KEYS[ARGV[i] + 4], ARGV[1], unpack(ids))
    ids = {}
  end
end
for i = last_handled + 1, #ARGV, 4 do
  if redis.call('XACK', KEYS[ARGV[i] + 4], ARGV[1], ARGV[i + 1]) == 1 then
    redis.call('ZADD', KEYS[3], ARGV[i + 2], ARGV[i + 2])
    redis.call('HSET', KEYS[4], ARGV[i + 2], ARGV[i + 3])
    acknowledged = acknowledged + 1
  end
end
if acknowledged > 0 then redis.call('HINCRBY', KEYS[2], 'seen', acknowledged) end
return acknowledged
