#!lua
-- Stores documents and moves their projection's checkpoint, if it stands where this owner left it.
-- KEYS  1 the checkpoint, then the documents
-- ARGV  1 epoch   2 position it must stand at ('' for none)   3 new position   4 events seen   5 mark of the event there
--       6 length of the lease in ms   7 the channel to tell   then for each document:
--       <n> <m> n×{field, value} m×{field to remove}, or -1 to delete it
-- Reply {1}, or {0, epoch, position} as found
local checkpoint = KEYS[1]
local is = redis.call('HMGET', checkpoint, 'epoch', 'position')
if is[1] ~= ARGV[1] or (is[2] or '') ~= ARGV[2] then return { 0, is[1] or '', is[2] or '' } end

local FIELDS_AT_ONCE = 3000 -- unpack ends at about 8,000
local function in_parts(command, key, from, to, step)
  for i = from, to, FIELDS_AT_ONCE * step do
    redis.call(command, key, unpack(ARGV, i, math.min(to, i + FIELDS_AT_ONCE * step - 1)))
  end
end

local at = 8
for i = 2, #KEYS do
  local sets = tonumber(ARGV[at])
  if sets < 0 then
    redis.call('DEL', KEYS[i])
    at = at + 1
  else
    local removes = tonumber(ARGV[at + 1])
    local fields = at + 2
    at = fields + 2 * sets + removes
    in_parts('HSET', KEYS[i], fields, fields + 2 * sets - 1, 2)
    if removes > 0 then in_parts('HDEL', KEYS[i], fields + 2 * sets, at - 1, 1) end
  end
end

local time = redis.call('TIME')
local deadline = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[6]
redis.call('HSET', checkpoint, 'position', ARGV[3], 'seen', ARGV[4], 'event', ARGV[5], 'deadline', string.format('%.0f', deadline))
redis.call('PUBLISH', ARGV[7], ARGV[3])
return { 1 }
