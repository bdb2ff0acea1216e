#!lua
-- Lets a reactor without order go on from the position that it is rewound to: its groups are made anew.
-- KEYS  1 the checkpoint   2… the logs
-- ARGV  1 the group   2 the position ('' for the beginning)   3 events seen up to there
-- Reply 1, or 0 where that was done already, or it is rewound to another position by now
local is = redis.call('HMGET', KEYS[1], 'clears', 'to')
if is[1] ~= 'rewind' or is[2] ~= ARGV[2] then return 0 end
local after = ARGV[2] == '' and '0-0' or ARGV[2]
for i = 2, #KEYS do redis.call('XGROUP', 'CREATE', KEYS[i], ARGV[1], after, 'MKSTREAM') end
redis.call('HDEL', KEYS[1], 'clears', 'to', 'position', 'event', 'turn', 'built', 'reads')
redis.call('HSET', KEYS[1], 'seen', ARGV[3], 'group', after)
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'position', ARGV[2]) end
return 1
