#!lua
-- Removes what is kept of a reactor that is being rewound or dropped.
-- KEYS  1 the checkpoint   2… what is removed
-- ARGV  1 'rewind' or 'drop'   2 the position that it is rewound to ('' for the beginning, and for a drop)
-- Reply 1, or 0 where that is finished already, or something else is done with it by now: what is there belongs to whoever runs it
local is = redis.call('HMGET', KEYS[1], 'clears', 'to')
if is[1] ~= ARGV[1] or (is[2] or '') ~= ARGV[2] then return 0 end
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 1
