#!lua flags=allow-oom
-- Notes that a projection has once folded everything there was in a partition: its documents are whole from then on.
-- KEYS  1 the checkpoint
-- ARGV  1 the generation that did so
-- Reply 1, or 0 where it was rewound since
local is = redis.call('HMGET', KEYS[1], 'generation', 'clearing')
if is[2] or (is[1] or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'built', 1)
return 1
