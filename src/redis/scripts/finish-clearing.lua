#!lua
-- Lets a projection begin anew in a partition, or be gone, once its documents are removed in all partitions.
-- KEYS  1 the checkpoint   2 how far removed documents were folded
-- ARGV  1 the generation that begins with it   2 'rewind' or 'drop'
-- Reply 1, or 0 where somebody else has finished it, or began another one
local is = redis.call('HMGET', KEYS[1], 'clearing', 'clears', 'cleared')
if is[1] ~= ARGV[1] or is[2] ~= ARGV[2] or is[3] ~= ARGV[1] then return 0 end
if ARGV[2] == 'drop' then
  redis.call('DEL', KEYS[1], KEYS[2])
else
  redis.call('HDEL', KEYS[1], 'clearing', 'clears', 'cleared')
  redis.call('HSET', KEYS[1], 'generation', ARGV[1])
end
return 1
