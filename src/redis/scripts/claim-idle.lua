#!lua
-- Gives a worker what lies idle with consumers that were fenced off everywhere before.
-- KEYS  1 what handlers of this partition appended here   2 the checkpoint   3… the logs
-- ARGV  1 the group   2 the consumer that takes   3 its field in KEYS[1]   4 how long it has to lie idle, in ms   5 how many at most
--       6… the consumers that it is taken from
-- Reply {} where the worker was fenced off; or {a number higher than that of every earlier taker, {for each log its entries},
--       {entry ids that are no longer in their log: nobody can handle them any more}}
if redis.call('HGET', KEYS[1], ARGV[3]) ~= '1' then return {} end
local left = tonumber(ARGV[5])
local taken, lost = {}, {}

local function take(log, from)
  local ids, entries = {}, {}
  for _, pending in ipairs(redis.call('XPENDING', log, ARGV[1], 'IDLE', ARGV[4], '-', '+', left, from)) do ids[#ids + 1] = pending[1] end
  if #ids == 0 then return entries end
  left = left - #ids
  local found = {}
  for _, entry in ipairs(redis.call('XCLAIM', log, ARGV[1], ARGV[2], 0, unpack(ids))) do
    if entry then
      entries[#entries + 1] = entry
      found[entry[1]] = true
    end
  end
  for _, id in ipairs(ids) do
    if not found[id] then lost[#lost + 1] = id end
  end
  return entries
end

for i = 3, #KEYS do
  local entries = {}
  for from = 6, #ARGV do
    if left > 0 then
      for _, entry in ipairs(take(KEYS[i], ARGV[from])) do entries[#entries + 1] = entry end
    end
  end
  taken[i - 2] = entries
end
return { redis.call('HINCRBY', KEYS[2], 'takers', 1), taken, lost }
