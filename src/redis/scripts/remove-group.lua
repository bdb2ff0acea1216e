#!lua
-- Removes the consumer groups of a reactor that is being dropped.
-- KEYS  1 the checkpoint   2… the logs
-- ARGV  1 the group
-- Reply 1, or 0 where it is not being dropped any more
if redis.call('HGET', KEYS[1], 'clears') ~= 'drop' then return 0 end
for i = 2, #KEYS do redis.pcall('XGROUP', 'DESTROY', KEYS[i], ARGV[1]) end -- fails where there is no log, which has no group then
return 1
