#!lua
-- Gives a checkpoint a higher epoch, if it still has the one that is known: whatever was begun under that counts no more.
-- KEYS  1 the checkpoint
-- ARGV  1 the epoch that is known   2 the one to come
-- Reply 1, or 0 where it has another one
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
return 1
