#!lua
-- Takes the groups of a reactor without order that is being rewound away from its workers: what these have in hand counts no more.
-- KEYS  1 the checkpoint   2 what handlers of this partition appended here   3… the logs
-- ARGV  1 the group   2 what a worker's field in KEYS[2] begins with   3 the position that it is rewound to ('' for the beginning)
-- Reply 1, or 0 where it is rewound to another position by now, or was already
local is = redis.call('HMGET', KEYS[1], 'clears', 'to')
if is[1] ~= 'rewind' or is[2] ~= ARGV[3] then return 0 end
for i = 3, #KEYS do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[i], ARGV[1])
  if consumers.err then
    if not string.find(consumers.err, 'NOGROUP') and not string.find(consumers.err, 'no such key') then return consumers end
  else
    for _, consumer in ipairs(consumers) do redis.call('HSET', KEYS[2], ARGV[2] .. consumer[2], 0) end
    redis.call('XGROUP', 'DESTROY', KEYS[i], ARGV[1])
  end
end
return 1
