#!lua
-- Stores a decider's folded state whole, unless a later one is stored already.
-- KEYS  1 the document
-- ARGV  1 its stream version, then fields and values in turn
-- Reply 1, or 0 when a later one was there
local stored = redis.call('HGET', KEYS[1], ':version')
if stored and tonumber(stored) > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1
