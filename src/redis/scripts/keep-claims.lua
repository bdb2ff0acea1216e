#!lua
-- Keeps what a worker has in hand from being claimed by others, and finds what was delivered to it without its knowing: the reply was lost.
-- KEYS  1 what handlers of this partition appended here   2… the logs
-- ARGV  1 the group   2 the consumer   3 its field in KEYS[1]   4 how long a delivery is unknown, in ms, before it counts as lost
--       5 how many of those it takes, of each log   then for each log {how many it has in hand, their entry ids…}
-- Reply {for each log the entries found}, or {} where the worker was fenced off
if redis.call('HGET', KEYS[1], ARGV[3]) ~= '1' then return {} end
local AT_ONCE = 1000
local found, at = {}, 6
for i = 2, #KEYS do
  local last = at + ARGV[at]
  for from = at + 1, last, AT_ONCE do
    local ids = { unpack(ARGV, from, math.min(last, from + AT_ONCE - 1)) }
    ids[#ids + 1] = 'JUSTID'
    redis.call('XCLAIM', KEYS[i], ARGV[1], ARGV[2], 0, unpack(ids))
  end
  at = last + 1
  found[i - 1] = {}
  local ids = {}
  if ARGV[5] ~= '0' then
    for _, pending in ipairs(redis.call('XPENDING', KEYS[i], ARGV[1], 'IDLE', ARGV[4], '-', '+', ARGV[5], ARGV[2])) do ids[#ids + 1] = pending[1] end
  end
  if #ids > 0 then found[i - 1] = redis.call('XCLAIM', KEYS[i], ARGV[1], ARGV[2], 0, unpack(ids)) end
end
return found
