#!lua
-- Raises the epoch below which handlers of a reactor may append no more.
-- KEYS  1 what handlers of one partition appended into this one
-- ARGV  1 the epoch
-- Reply the epoch that is there now: a higher one, where the checkpoint lost its own
local is = tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0)
if is > tonumber(ARGV[1]) then return is end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
return tonumber(ARGV[1])
