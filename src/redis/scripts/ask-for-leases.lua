#!lua
-- Asks the owner of leases to give them to another process, because it holds more than its share. It does so when it looks next.
-- KEYS  the checkpoints
-- ARGV  1 who asks   2 the owner that is asked
-- Reply how many it was asked for
local asked = 0
for _, key in ipairs(KEYS) do
  if redis.call('HGET', key, 'owner') == ARGV[2] then
    redis.call('HSET', key, 'wanted', ARGV[1])
    asked = asked + 1
  end
end
return asked
