#!lua
-- Removes what handlers of a reactor that is being dropped appended into another partition.
-- KEYS  1 what they appended here
-- ARGV  1 the epoch of the drop
-- Reply 1, or 0 where the reactor was made anew meanwhile
if tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0) > tonumber(ARGV[1]) then return 0 end
redis.call('UNLINK', KEYS[1])
return 1
