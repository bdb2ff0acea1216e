#!lua
-- Lets a reactor go on from the position that it was rewound to, once nothing stands behind that.
-- KEYS  1 the checkpoint   2 events finished before others
-- ARGV  1 the position ('' for the beginning)   2 events seen up to there
-- Reply 1, or 0 where it was finished already, or is rewound to another position by now
local is = redis.call('HMGET', KEYS[1], 'clears', 'to')
if is[1] ~= 'rewind' or is[2] ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
redis.call('HDEL', KEYS[1], 'clears', 'to', 'position', 'event', 'turn', 'built', 'reads')
redis.call('HSET', KEYS[1], 'seen', ARGV[2], 'begun', 1)
if ARGV[1] ~= '' then redis.call('HSET', KEYS[1], 'position', ARGV[1]) end
return 1
