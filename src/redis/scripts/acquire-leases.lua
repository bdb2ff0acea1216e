#!lua
-- Takes, or prolongs, the leases on checkpoints that are free, run out, or held by the same owner already.
-- KEYS  the checkpoints
-- ARGV  1 owner   2 length of the lease in ms   then for each key: what it reads (its categories)
-- Reply for each key
--       {'held', epoch, position or '', events seen, mark of the event there or '', who asks for it or '', generation, 1 where it is built}
--           the epoch rises with each change of owner, the generation with each rewind
--       {'other', ms until it runs out, its owner}
--       {'changed', what the checkpoint was made with, generation}                     not taken
--       {'halted', 'pause', 'rewind' or 'drop'}     not taken, not prolonged; an owner gives it up when it has finished
local owner, length = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function acquire(key, reads)
  local is = redis.call('HMGET', key, 'owner', 'deadline', 'epoch', 'position', 'seen', 'event', 'reads', 'wanted', 'generation', 'built')
  local halt = redis.call('HMGET', key, 'clears', 'paused')
  if halt[1] then return { 'halted', halt[1] } end
  if halt[2] then return { 'halted', 'pause' } end
  if is[7] and is[7] ~= reads then return { 'changed', is[7], is[9] or '0' } end
  local is_mine = is[1] == owner
  local remaining = tonumber(is[2] or 0) - now
  -- One that was given back is kept, for a while, for whoever asked for it.
  local holder = is[1] and is[1] ~= '' and is[1] or is[8]
  if holder and holder ~= owner and remaining > 0 then return { 'other', remaining, holder } end
  local epoch = tonumber(is[3] or 0) + (is_mine and 0 or 1)
  redis.call('HSET', key, 'owner', owner, 'deadline', string.format('%.0f', now + length), 'epoch', epoch, 'reads', reads)
  if not is_mine then redis.call('HDEL', key, 'wanted') end
  local wanted_by = is_mine and is[8] or ''
  return { 'held', epoch, is[4] or '', tonumber(is[5] or 0), is[6] or '', wanted_by, is[9] or '0', is[10] and 1 or 0 }
end

local reply = {}
for i, key in ipairs(KEYS) do reply[i] = acquire(key, ARGV[i + 2]) end
return reply
