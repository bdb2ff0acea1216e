#!lua flags=allow-oom
-- Takes a worker that was fenced off out of a reactor's groups. What it did not finish lies idle for so long that anybody may claim it at once.
-- KEYS  the logs
-- ARGV  1 the group   2 the consumer   3 for how long that lies idle then, in ms
-- Reply how many events it left; none where the group was removed meanwhile
local AT_ONCE = 1000
local left = 0
for _, log in ipairs(KEYS) do
  local from, ids = '-', {}
  repeat
    ids = {}
    -- Fails where there is no such group, or no such log.
    for _, pending in ipairs(redis.pcall('XPENDING', log, ARGV[1], from, '+', AT_ONCE, ARGV[2])) do ids[#ids + 1] = pending[1] end
    if #ids > 0 then
      from = '(' .. ids[#ids]
      left = left + #ids
      local count = #ids
      for i, word in ipairs({ 'IDLE', ARGV[3], 'JUSTID' }) do ids[count + i] = word end
      redis.call('XCLAIM', log, ARGV[1], ARGV[2], 0, unpack(ids))
    end
  until #ids < AT_ONCE
  if from == '-' then redis.pcall('XGROUP', 'DELCONSUMER', log, ARGV[1], ARGV[2]) end
end
return left
