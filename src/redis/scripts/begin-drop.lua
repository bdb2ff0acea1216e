#!lua
-- Takes a reactor's checkpoint in a partition away, so that all that is kept of it can be removed: nobody commits or takes a lease from here on.
-- May run again.
-- KEYS  1 the checkpoint
-- ARGV  none
-- Reply {1, the epoch: higher than any that somebody had}, or {0, the owner of a lease that still runs}
local is = redis.call('HMGET', KEYS[1], 'owner', 'deadline')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if is[1] and is[1] ~= '' and tonumber(is[2] or 0) > now then return { 0, is[1] } end
redis.call('HSET', KEYS[1], 'clears', 'drop', 'owner', '', 'deadline', 0)
redis.call('HDEL', KEYS[1], 'to', 'wanted')
return { 1, tostring(redis.call('HINCRBY', KEYS[1], 'epoch', 1)) }
