#!lua
-- Forgets what stands behind a place of one key of a reactor that is being rewound: its letter, and the last of the events that wait.
-- KEYS  1 the checkpoint   2 blocked keys   3 keys with something to try again   4 open letters   5 what is known of them   6 the key's list
-- ARGV  1 the position that it is rewound to ('' for the beginning)   2 its place   3 the key
-- Reply 1 when more is to be forgotten, 0 when nothing is, -1 where it is rewound to another position by now
local MOST = 1000
local is = redis.call('HMGET', KEYS[1], 'clears', 'to')
if is[1] ~= 'rewind' or is[2] ~= ARGV[1] then return -1 end
local place, key = tonumber(ARGV[2]), ARGV[3]
local letter = redis.call('HGET', KEYS[2], key)
if not letter then return 0 end
if letter ~= '' and tonumber(letter) > place then
  redis.call('ZREM', KEYS[4], letter)
  redis.call('HDEL', KEYS[5], letter, letter .. ':edit')
  redis.call('HSET', KEYS[2], key, '')
  letter = ''
end
local removed = 0
while removed < MOST do
  local last = redis.call('LINDEX', KEYS[6], -1)
  if not last or tonumber(string.match(last, '^%d+')) <= place then break end
  redis.call('RPOP', KEYS[6])
  removed = removed + 1
end
if removed > 0 then redis.call('HINCRBY', KEYS[1], 'parked', -removed) end
if removed == MOST then return 1 end
if letter == '' then
  if redis.call('LLEN', KEYS[6]) > 0 then
    redis.call('ZADD', KEYS[3], place, key)
  else
    redis.call('HDEL', KEYS[2], key)
    redis.call('ZREM', KEYS[3], key)
  end
end
return 0
