#!lua
-- Closes dead letters whose events are not to be handled, if they are open still; what waits behind them goes on.
-- KEYS  1 open letters   2 what is known of them   3 keys that are blocked by one   4 keys with something to try again
-- ARGV  for each letter: <place>   <key, '' where nothing keeps an order>
-- Reply how many were open
local discarded = 0
for at = 1, #ARGV, 2 do
  local place, key = ARGV[at], ARGV[at + 1]
  if redis.call('ZREM', KEYS[1], place) == 1 then
    discarded = discarded + 1
    redis.call('HDEL', KEYS[2], place, place .. ':edit')
    if key == '' then
      redis.call('ZADD', KEYS[4], 'NX', place, place) -- the owner of the partition clears up behind it
    elseif redis.call('HGET', KEYS[3], key) == place then
      redis.call('HSET', KEYS[3], key, '')
      redis.call('ZADD', KEYS[4], 'NX', place, key)
    end
  end
end
return discarded
