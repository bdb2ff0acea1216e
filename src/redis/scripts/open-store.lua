#!lua
-- Reads a store's settings, and writes them when it is first used. May run twice.
-- KEYS  1 the settings
-- ARGV  1 an id for a new store   2 partitions asked for, or '' for the stored number   3 the layout's version
-- Reply {id, partitions, layout}
local key = KEYS[1]
if redis.call('EXISTS', key) == 0 then
  redis.call('HSET', key, 'id', ARGV[1], 'partitions', ARGV[2] == '' and 1 or ARGV[2], 'layout', ARGV[3])
end
return redis.call('HMGET', key, 'id', 'partitions', 'layout')
