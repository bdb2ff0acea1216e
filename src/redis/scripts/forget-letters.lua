#!lua
-- Forgets the dead letters behind a place of a reactor without order that is being rewound, some at a time.
-- KEYS  1 the checkpoint   2 open letters   3 what is known of them   4 those to try again
-- ARGV  1 the position that it is rewound to ('' for the beginning)   2 its place
-- Reply 1 when more are to be forgotten, 0 when none are, -1 where it is rewound to another position by now
local MOST = 1000
local is = redis.call('HMGET', KEYS[1], 'clears', 'to')
if is[1] ~= 'rewind' or is[2] ~= ARGV[1] then return -1 end
local places = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[2], '+inf', 'LIMIT', 0, MOST)
for _, place in ipairs(places) do
  redis.call('ZREM', KEYS[2], place)
  redis.call('HDEL', KEYS[3], place, place .. ':edit')
  redis.call('ZREM', KEYS[4], place)
end
return #places == MOST and 1 or 0
