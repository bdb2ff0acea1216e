#!lua
-- Makes a writer's record, before its first batch in a partition. May run twice.
-- KEYS  1 the writer's record
-- ARGV  1 its time to live in ms
-- Reply 1
redis.call('HSET', KEYS[1], 'registered', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
