#!lua
-- Flips the readers of a projection to one of its versions, and tells them.
-- KEYS  1 the settings
-- ARGV  1 the field   2 the version, '' for none   3 the version that must serve now, '' for none   4 the channel to tell
-- Reply {1, the version that serves now or ''}, or {0, the version that serves} where it was another one
local serves = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if serves ~= ARGV[3] then return { 0, serves } end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
redis.call('PUBLISH', ARGV[4], ARGV[1])
return { 1, ARGV[2] }
