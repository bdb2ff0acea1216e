#!lua
-- Raises the epoch below which handlers of a reactor may append no more.
-- KEYS  1 what handlers of one partition appended into this one
-- ARGV  1 the epoch
-- Reply 1, or 0 when a higher one is there
local is = tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0)
if is > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
return 1
