#!lua
-- Makes a worker a consumer of a reactor's groups, and lets it acknowledge. One that was fenced off stays so.
-- KEYS  1 what handlers of this partition appended here   2 the checkpoint   3… the logs
-- ARGV  1 the group   2 the consumer   3 its field in KEYS[1]
-- Reply its number, higher than that of every earlier one
for i = 3, #KEYS do redis.call('XGROUP', 'CREATECONSUMER', KEYS[i], ARGV[1], ARGV[2]) end
redis.call('HSETNX', KEYS[1], ARGV[3], 1)
return redis.call('HINCRBY', KEYS[2], 'takers', 1)
