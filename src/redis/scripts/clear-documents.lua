#!lua
-- Removes documents of a projection that is being cleared, and lets nobody store more; once none is found, also what is remembered of
-- removed ones. The first call, without documents, comes before they are looked for, and after the checkpoints of all partitions are taken away.
-- KEYS  1 the checkpoint   2 how far removed documents were folded   then the documents
-- ARGV  1 the generation that begins with it   2 1 where no more documents were found, else 0
-- Reply 1, or 0 where nothing is to be cleared any more: documents that are there belong to the new generation
local is = redis.call('HMGET', KEYS[1], 'clearing', 'cleared')
if is[1] ~= ARGV[1] or is[2] == ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'generation', ARGV[1]) -- documents of the generation before are refused from here on
for i = 3, #KEYS do redis.call('UNLINK', KEYS[i]) end
if ARGV[2] == '1' then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'generation', ARGV[1])
  redis.call('HSET', KEYS[1], 'cleared', ARGV[1])
end
return 1
