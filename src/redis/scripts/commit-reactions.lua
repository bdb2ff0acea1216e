#!lua
-- Moves a reactor's checkpoint and notes what became of events behind and before it, if this owner still has it and did not already.
-- KEYS  1 the checkpoint   2 events finished before others that stand in front of them   3 open dead letters   4 what is known of them
--       5 keys that are blocked by one   6 keys with something to try again   then the lists of parked events
-- ARGV  1 epoch   2 name of the commit before this one ('' for none)   3 name of this one   4 new position ('' for none)   5 its place
--       6 events seen ('' leaves that)   7 mark of the event there   8 length of the lease in ms   9 the channel to tell   then, one after the other:
--       'finished' <place>                          finished while an earlier one is not
--       'dead' <key or ''> <place> <letter>         given up: a letter is opened; with a key, the key's later events wait behind it
--       'again' <key or ''> <place> <letter> <asked>   a letter's event failed again; it stays open unless it was discarded meanwhile,
--                                                   and is tried again where that was asked for after `asked`
--       'park' <list> <key> <entry>                 waits behind a letter
--       'shift' <list>                              the first of a list was finished, or became a letter
--       'close' <key or ''> <place>                 a letter's event was handled; what waits behind it may go on
--       'free' <list> <key>                         nothing blocks this key any more, if nothing waits
-- Reply {1}, or {0, epoch, name of the last commit} as found
local is = redis.call('HMGET', KEYS[1], 'epoch', 'turn')
if is[1] == ARGV[1] and is[2] == ARGV[3] then return { 1 } end -- this very commit, sent again
if is[1] ~= ARGV[1] or (is[2] or '') ~= ARGV[2] then return { 0, is[1] or '', is[2] or '' } end

local at = 10
local function take(count)
  at = at + count + 1
  return unpack(ARGV, at - count, at - 1)
end

local steps = {}
function steps.finished()
  local place = take(1)
  redis.call('ZADD', KEYS[2], place, place)
end
function steps.dead()
  local key, place, letter = take(3)
  redis.call('ZADD', KEYS[3], place, place)
  redis.call('HSET', KEYS[4], place, letter)
  if key == '' then return end
  redis.call('HSET', KEYS[5], key, place)
  redis.call('ZREM', KEYS[6], key)
end
function steps.again()
  local key, place, letter, asked = take(4)
  local member = key == '' and place or key
  if redis.call('ZSCORE', KEYS[6], member) == asked then redis.call('ZREM', KEYS[6], member) end
  if redis.call('ZSCORE', KEYS[3], place) then return redis.call('HSET', KEYS[4], place, letter) end
  if key ~= '' then redis.call('ZADD', KEYS[6], 'NX', place, key) end -- discarded meanwhile: what waits behind it goes on
end
function steps.park()
  local list, key, entry = take(3)
  redis.call('RPUSH', KEYS[tonumber(list)], entry)
  redis.call('HINCRBY', KEYS[1], 'parked', 1)
  redis.call('HSETNX', KEYS[5], key, '')
end
function steps.shift()
  if redis.call('LPOP', KEYS[tonumber((take(1)))]) then redis.call('HINCRBY', KEYS[1], 'parked', -1) end
end
function steps.close()
  local key, place = take(2)
  redis.call('ZREM', KEYS[3], place)
  redis.call('HDEL', KEYS[4], place, place .. ':edit')
  if key == '' then
    redis.call('ZREM', KEYS[6], place)
  elseif redis.call('HGET', KEYS[5], key) == place then
    redis.call('HSET', KEYS[5], key, '')
  end
end
function steps.free()
  local list, key = take(2)
  if redis.call('LLEN', KEYS[tonumber(list)]) > 0 then return end
  redis.call('HDEL', KEYS[5], key)
  redis.call('ZREM', KEYS[6], key)
end
while ARGV[at] do steps[ARGV[at]]() end

local time = redis.call('TIME')
local deadline = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[8]
redis.call('HSET', KEYS[1], 'turn', ARGV[3], 'event', ARGV[7], 'deadline', string.format('%.0f', deadline))
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'seen', ARGV[6]) end
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'position', ARGV[4])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[5])
end
redis.call('PUBLISH', ARGV[9], ARGV[4])
return { 1 }
