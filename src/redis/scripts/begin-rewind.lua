#!lua
-- Takes a reactor's checkpoint in a partition away, so that what lies behind the new position can be removed: nobody commits or takes a
-- lease from here on. May run again, with another position too: the last one counts.
-- KEYS  1 the checkpoint
-- ARGV  1 the position it is to stand at then ('' for the beginning)
-- Reply 1
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[1], 'clears', 'rewind', 'to', ARGV[1], 'owner', '', 'deadline', 0)
redis.call('HDEL', KEYS[1], 'wanted')
return 1
