#!lua
-- Keeps processes from taking leases, until told to resume. A lease that has run out is taken away: its owner can commit nothing more.
-- KEYS  the checkpoints
-- ARGV  none
-- Reply for each key {the owner that has not given it up or '', for how many ms it still has it}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reply = {}
for i, key in ipairs(KEYS) do
  local is = redis.call('HMGET', key, 'owner', 'deadline')
  local owner, remaining = is[1] or '', tonumber(is[2] or 0) - now
  redis.call('HSET', key, 'paused', 1)
  if owner ~= '' and remaining <= 0 then
    redis.call('HSET', key, 'owner', '', 'deadline', 0)
    redis.call('HINCRBY', key, 'epoch', 1)
    owner = ''
  end
  reply[i] = { owner, owner == '' and 0 or remaining }
end
return reply
