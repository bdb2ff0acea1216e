#!lua
-- Tells whether a reactor's consumer groups are there, one on each of its logs, and makes those that are missing where it is told from where.
-- KEYS  1 the checkpoint   2… the logs
-- ARGV  1 the group   2 what the reactor reads   3 the entry id behind which missing groups begin ('' makes none)
--       4 how many events lie up to there: counts only where the groups are new
-- Reply {'open'}                             they are all there
--       {'new'}                              they were never made
--       {'missing', position, mark, where they began}   they were made, and one is gone: it may go on behind the position
--       {'gone', log}                        one is gone together with its log
--       {'halted', 'pause', 'rewind' or 'drop'}, {'changed', what the checkpoint was made with}
local is = redis.call('HMGET', KEYS[1], 'clears', 'paused', 'reads', 'group', 'position', 'event')
if is[1] or is[2] then return { 'halted', is[1] or 'pause' } end
if is[3] and is[3] ~= ARGV[2] then return { 'changed', is[3] } end

local missing = {}
for i = 2, #KEYS do
  local has_group = false
  if redis.call('EXISTS', KEYS[i]) == 1 then
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[i])) do has_group = has_group or group[2] == ARGV[1] end
  elseif is[4] then
    return { 'gone', KEYS[i] }
  end
  if not has_group then missing[#missing + 1] = KEYS[i] end
end

if #missing > 0 then
  if ARGV[3] == '' then return is[4] and { 'missing', is[5] or '', is[6] or '', is[4] } or { 'new' } end
  for _, log in ipairs(missing) do redis.call('XGROUP', 'CREATE', log, ARGV[1], ARGV[3], 'MKSTREAM') end
end
if not is[4] then
  redis.call('HSET', KEYS[1], 'group', ARGV[3] == '' and '0-0' or ARGV[3], 'reads', ARGV[2])
  if ARGV[4] ~= '' then redis.call('HSETNX', KEYS[1], 'seen', ARGV[4]) end
end
return { 'open' }
