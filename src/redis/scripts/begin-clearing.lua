#!lua
-- Takes a projection's checkpoint in a partition away, so that its documents can be removed: nobody commits or takes a lease from here on.
-- May run again, also after a process that did so died: the generation is the same for all who clear at the same time.
-- KEYS  1 the checkpoint
-- ARGV  1 the generation that begins with it   2 'rewind' or 'drop'
-- Reply 'begun'; 'superseded' where that generation is there already, or a later one is being made; for a drop the owner of a lease that still runs
local checkpoint, generation, what = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local is = redis.call('HMGET', checkpoint, 'generation', 'clearing', 'clears', 'owner', 'deadline')
local clearing = tonumber(is[2] or 0)
if tonumber(is[1] or 0) >= generation or clearing > generation then return 'superseded' end
local time = redis.call('TIME')
local is_held = is[4] and is[4] ~= '' and tonumber(is[5]) > time[1] * 1000 + math.floor(time[2] / 1000)
if what == 'drop' and is_held then return is[4] end
if clearing == generation and is[3] == what then return 'begun' end
redis.call('HSET', checkpoint, 'clearing', generation, 'clears', what, 'owner', '', 'deadline', 0)
redis.call('HINCRBY', checkpoint, 'epoch', 1)
redis.call('HDEL', checkpoint, 'position', 'seen', 'event', 'built', 'reads', 'wanted', 'cleared')
return 'begun'
