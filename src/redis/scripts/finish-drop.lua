#!lua
-- Removes the checkpoint of a reactor of which nothing else is left. Its epoch is kept, for one of the same name that is made anew: a process
-- from before may be paused, and must find a higher one.
-- KEYS  1 the checkpoint   2 the epochs of dropped reactors
-- ARGV  1 the field of KEYS[2]
-- Reply 1, or 0 where that was done already, or something else is done with it by now
local is = redis.call('HMGET', KEYS[1], 'clears', 'epoch')
if is[1] ~= 'drop' then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], is[2])
redis.call('DEL', KEYS[1])
return 1
