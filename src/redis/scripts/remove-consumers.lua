#!lua
-- Removes consumers of a reactor's groups that have nothing pending and have not been heard of for long.
-- KEYS  the logs
-- ARGV  1 the group   2 for how long, in ms
-- Reply the consumers that are in none of the groups any more
local gone, there = {}, {}
for _, log in ipairs(KEYS) do
  local consumers = redis.call('EXISTS', log) == 1 and redis.call('XINFO', 'CONSUMERS', log, ARGV[1]) or {}
  for _, consumer in ipairs(consumers) do
    local is = {}
    for i = 1, #consumer, 2 do is[consumer[i]] = consumer[i + 1] end
    if is.pending == 0 and is.idle >= tonumber(ARGV[2]) then
      redis.call('XGROUP', 'DELCONSUMER', log, ARGV[1], is.name)
      gone[is.name] = true
    else
      there[is.name] = true
    end
  end
end
local names = {}
for name in pairs(gone) do
  if not there[name] then names[#names + 1] = name end
end
return names
